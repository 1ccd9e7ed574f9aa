"""Waymo v2 in Parquet."""
