"""Kinds of answers, one file each: how a text is read, and how far it is from the truth."""
