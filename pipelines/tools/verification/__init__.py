"""Checks an output against itself: records, images and shards."""
