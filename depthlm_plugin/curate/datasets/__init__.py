"""The shipped datasets: each file or folder defines one reader, and its name is the dataset's."""
