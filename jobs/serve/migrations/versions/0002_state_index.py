"""An index of the states of tasks: each submit counts the waiting ones."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create the index."""
    op.create_index("ix_tasks_state", "tasks", ["state"])
