"""The image processors of model families, and whether they keep one focal length."""
