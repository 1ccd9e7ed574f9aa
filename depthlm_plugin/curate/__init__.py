"""Raw datasets to records: one reader a dataset, everything else shared.

A reader (`reading.Reader`) lists frames and loads one; `run.curate` samples, writes, resumes and
describes. A new dataset is one module here, its row in `registry.DATASETS` and one fixture.
"""
