"""Alembic's scripts: each brings the tables from one version to the next."""
