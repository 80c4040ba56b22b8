"""Finds problems of a manifest and of its images before a run pays for GPUs."""
