"""Fetches and decodes reference images, within the run's limits and policy."""
