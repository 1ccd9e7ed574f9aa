"""A COLMAP model and its scale."""
