"""From an answer to a number."""
