"""No index of states: each step of a task would change it, and tasks that end have another one."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Drop the indexes."""
    op.drop_index("ix_tasks_state", "tasks")
    op.drop_index("ix_tasks_lane_state_sequence", "tasks")
