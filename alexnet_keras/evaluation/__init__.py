"""Errors, and the views of an image that they are taken over."""
