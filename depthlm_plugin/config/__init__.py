"""The `depthlm:` block of a recipe."""
