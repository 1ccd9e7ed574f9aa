"""Published DepthVLM files."""
