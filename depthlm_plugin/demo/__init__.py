"""Offline demonstration: synthetic scenes with exact distances, and a tiny model to train."""
