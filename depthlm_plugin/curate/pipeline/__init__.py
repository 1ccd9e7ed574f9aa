"""One curation, from frames to records."""
