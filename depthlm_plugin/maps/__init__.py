"""Depth maps and point clouds from answers at some pixels of a picture."""
