"""Raw datasets to records: one reader a dataset, everything else shared.

A reader (`reading.Reader`) lists frames and loads one; `pipeline.curation.curate` samples labels,
writes, resumes and describes. A new dataset is one module of `datasets/`; README.md shows how.
"""
