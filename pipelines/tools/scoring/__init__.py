"""Measures the images of an output that exists."""
