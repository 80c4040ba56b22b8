"""Runs the scripts on the connection that `store.database` passes."""

from __future__ import annotations

from alembic import context

from jobs.serve.store.tables import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
