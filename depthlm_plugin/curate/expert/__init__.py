"""Expert depth models that label pictures: a model's files, its metric rule, and its running."""
