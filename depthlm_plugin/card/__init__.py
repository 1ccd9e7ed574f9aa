"""The model card of a trained model: what it was made of, how it is asked, how well it answers."""
