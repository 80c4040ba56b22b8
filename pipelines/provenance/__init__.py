"""Signed provenance: the C2PA manifest of an image, written, signed, read and checked.

`sdk` is the only module that imports the C2PA library (extra `c2pa`).
"""
