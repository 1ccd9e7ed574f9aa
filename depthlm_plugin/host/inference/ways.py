"""The ways in which a loaded model can be asked; greedy answers are the same in all of them."""

from __future__ import annotations

WAYS = {
    "auto": "shared where model and questions allow it, else batched",
    "shared": "questions about one picture together, which is read once",
    "batched": "whole prompts of one length together",
    "single": "whole prompts one by one",
}
"""Way -> what it does."""
