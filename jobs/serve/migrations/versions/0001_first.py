"""The first tables."""

from __future__ import annotations

from alembic import op

from jobs.serve.store.tables import metadata

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create every table.

    The tables are written out here at the first release that changes them.
    """
    metadata.create_all(op.get_bind())
