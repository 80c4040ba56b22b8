"""Measured speed: each run stores its times by shape, and the next plan reads them."""
