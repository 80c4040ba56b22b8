"""Removes the records and images of rows that are no longer in the manifest."""
