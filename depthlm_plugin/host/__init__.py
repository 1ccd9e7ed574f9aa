"""This folder holds everything that touches LLaMA-Factory, and alone imports it.

`seams` says where LLaMA-Factory is extended; `install` does it when LLaMA-Factory is imported.
"""
