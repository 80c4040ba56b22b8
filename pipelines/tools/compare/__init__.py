"""Compares two outputs over the same rows, score by score."""
