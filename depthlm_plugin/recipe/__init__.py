"""Recipes: which base VLMs there are, what training them takes, and the YAML that says so."""
