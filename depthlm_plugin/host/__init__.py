"""Everything that touches LLaMA-Factory; imported only once LLaMA-Factory itself is."""
