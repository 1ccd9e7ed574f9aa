"""One file, or one folder, a dataset."""
