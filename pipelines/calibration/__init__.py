"""Measured speed: each run records its times by shape, and the next plan reads them."""
