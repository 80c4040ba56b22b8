"""Packs the images and records of an output into a dataset in shards for common data loaders."""
