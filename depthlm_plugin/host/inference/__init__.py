"""Answers samples with a model that LLaMA-Factory loads: one by one, in batches, or together."""
