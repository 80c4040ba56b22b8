"""Estimates the cost of a run in advance: its rows, arithmetic, time and storage."""
