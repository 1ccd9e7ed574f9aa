"""KITTI with annotated depth."""
