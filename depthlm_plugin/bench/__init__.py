"""DepthLMBench: one model on the evaluation sets that are there (`depthlm bench`)."""
