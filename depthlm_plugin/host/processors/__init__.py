"""Says which image processors of base VLMs keep one focal length, and proves it before a run.

`families/` holds one file a family; `registry` finds the file of a loaded processor.
"""
