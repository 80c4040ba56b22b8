"""Assign rows to workers, retry them, and isolate rows that kill a worker. Without Ray."""
