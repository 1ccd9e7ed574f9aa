"""Task folders for evaluation harnesses: any served model is asked what ours are asked."""
