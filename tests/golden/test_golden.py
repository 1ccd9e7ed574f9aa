"""What a fixed corpus gives is what it gave: samples, views, scores, rewards, files.

A change that is meant is written down with

    PYTHONPATH=tests python tests/golden/test_golden.py

and a change of samples or views also raises `views.view.FORMAT` (CONTRIBUTING).
"""

from __future__ import annotations

import json
from pathlib import Path

from support.corpus import collect, digests

EXPECTED = Path(__file__).with_name("expected.json")


def test_the_corpus_gives_what_it_gave() -> None:
    found, expected = digests(collect()), json.loads(EXPECTED.read_text())
    differing = {name for name in found | expected if found.get(name) != expected.get(name)}
    assert not differing


if __name__ == "__main__":
    EXPECTED.write_text(json.dumps(digests(collect()), indent=1) + "\n")
