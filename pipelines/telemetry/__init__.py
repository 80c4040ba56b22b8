"""The run as seen from outside: counters, snapshots, progress, log, metrics and events."""
