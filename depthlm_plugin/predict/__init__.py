"""Asking a trained model for the metres at pixels of a picture."""
