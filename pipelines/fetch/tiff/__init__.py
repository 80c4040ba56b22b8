"""TIFF files: which page is the picture, what its tags say, and its pixels as 8-bit levels."""
