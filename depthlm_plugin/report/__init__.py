"""`depthlm report`: scores, plots and pictures of finished runs as one file."""
