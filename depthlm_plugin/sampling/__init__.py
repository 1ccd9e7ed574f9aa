"""From a record to a sample: which points, which window, which words."""
