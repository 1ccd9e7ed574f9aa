"""Words: templates of questions and answers, and reading what a model says."""
