"""The image processors of base VLMs: whether they keep one focal length, and the proof of it.

`families/` holds one file a family; `registry` finds the file of a loaded processor.
"""
