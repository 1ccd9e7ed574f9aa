"""`depthlm recipe check`: what is wrong with a recipe, found without weights and all at once."""
