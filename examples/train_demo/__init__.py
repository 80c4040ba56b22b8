"""Trains a small USO from nothing on one CPU core; docs/demo-model.md describes it."""
