"""Views: which part of a picture is shown, at what focal length, with which marks; its pixels."""
