"""Colours of decoded images: which space a file states, and their conversion to sRGB."""
