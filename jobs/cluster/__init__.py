"""Runs as Ray jobs on a cluster: checks and packs a run here, and talks to the job server."""
