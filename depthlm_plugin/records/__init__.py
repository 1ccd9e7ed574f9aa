"""Records: one row an image or a pair, from any file, by number."""
