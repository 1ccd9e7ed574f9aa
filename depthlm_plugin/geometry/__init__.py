"""Cameras, lenses, poses: numbers only, no pixels."""
