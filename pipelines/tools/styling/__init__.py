"""Makes styles of a library from images."""
