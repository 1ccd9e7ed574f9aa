"""DepthLMBench asks one model about the evaluation sets that are there (`depthlm bench`)."""
