"""Draws recorded rows again, from their records alone, and compares the images."""
