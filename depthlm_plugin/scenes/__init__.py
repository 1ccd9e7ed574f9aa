"""Synthetic scenes with exact depth, pose and camera, ray-cast with numpy."""
