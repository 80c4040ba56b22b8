"""The version of the tables, and the way to the newest one."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from uso_core.errors import UsoError

NEWEST = "0003"
"""The newest version in `migrations`, whose import takes longer than to look at the database."""

_versions = sa.table("alembic_version", sa.column("version_num"))


class SchemaError(UsoError):
    """The tables of a database cannot be used."""


async def is_current(engine: AsyncEngine) -> bool:
    """Return True if the tables are those of this version of the software."""
    async with engine.connect() as connection:
        return await connection.run_sync(_version) == NEWEST


async def upgrade(engine: AsyncEngine) -> None:
    """Bring the tables up to date, all or nothing.

    Raises:
        SchemaError: a newer version of the software has made them.
    """
    if not await is_current(engine):
        async with engine.begin() as connection:
            await connection.run_sync(run_migrations)


def run_migrations(connection: sa.Connection, to: str = NEWEST) -> None:
    """Run the scripts up to a version, in the transaction of a connection."""
    from alembic import command  # noqa: PLC0415 (see `NEWEST`)
    from alembic.config import Config  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    if connection.dialect.name == "sqlite":
        # The driver begins no transaction before a CREATE, and a kill would leave half of them.
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    config = Config()
    config.set_main_option("script_location", "jobs.serve:migrations")
    config.attributes["connection"] = connection
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    found = _version(connection)
    if found is not None and found not in known:
        raise SchemaError(
            f"a newer version of uso-batch has made its tables (version {found}, and this one "
            f"knows up to {NEWEST}); update uso-batch, or go back to a copy of the database"
        )
    command.upgrade(config, to)


def _version(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table(_versions.name):
        return None
    version: str | None = connection.scalar(sa.select(_versions.c.version_num))
    return version
