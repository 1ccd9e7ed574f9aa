"""One file a family of base VLMs: its size rule, its overview, its proof. See `family.Family`.

Read in transformers 5.6 and LLaMA-Factory 0.9.5, and measured on the real image processors:
FAMILIES.md, in the folder above, is the generated table. A new file here is found by itself.
"""
