"""Compares an output with its records: images that are missing or damaged."""
