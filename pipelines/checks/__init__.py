"""Checks whether the records of an output are still true: lost images, replaced references."""
