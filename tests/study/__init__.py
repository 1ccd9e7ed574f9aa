"""Does it learn, and what makes it learn? DepthLM's claims in miniature, from random weights.

python -m study OUT, with tests/ on PYTHONPATH: see README.md, which it writes.
"""
