"""File formats and sensors that several datasets share."""
