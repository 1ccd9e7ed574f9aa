"""Task folders for evaluation harnesses, so that any served model is asked what ours are."""
