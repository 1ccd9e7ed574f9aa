"""ScanNet++, its iPhone recordings."""
