"""A page in the browser: open a picture, click, read metres."""
