"""Rows of a Hugging Face dataset on disk."""
