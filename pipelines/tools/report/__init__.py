"""Writes the report of a run: a static page with its numbers and pictures."""
