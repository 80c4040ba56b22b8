"""The tables. Times are milliseconds since the epoch. `migrations` creates and changes them."""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)
# SQLite numbers rows by itself only in a column of this very type.
_Number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

settings = sa.Table(
    "settings",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)

keys = sa.Table(
    "keys",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("prefix", sa.Text, nullable=False),
    sa.Column("sha256", sa.Text, nullable=False, unique=True),
    sa.Column("limits", sa.JSON, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("revoked_at", sa.BigInteger),
)

tasks = sa.Table(
    "tasks",
    metadata,
    sa.Column("sequence", _Number, primary_key=True, autoincrement=True),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("key_id", sa.Text, nullable=False),
    sa.Column("dialect", sa.Text, nullable=False),
    sa.Column("lane", sa.Text, nullable=False),
    sa.Column("state", sa.Integer, nullable=False),
    sa.Column("drawing", sa.JSON, nullable=False),
    sa.Column("given", sa.JSON, nullable=False),
    sa.Column("extras", sa.JSON, nullable=False),
    sa.Column("webhook", sa.Text),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("updated_at", sa.BigInteger, nullable=False),
    sa.Column("started_at", sa.BigInteger),
    sa.Column("ended_at", sa.BigInteger),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("progress", sa.Integer, nullable=False, server_default="0"),
    sa.Column("error_code", sa.Text, nullable=False, server_default=""),
    sa.Column("error", sa.Text, nullable=False, server_default=""),
    sa.Column("outputs", sa.JSON, nullable=False),
    sa.Column("inference_ms", sa.Integer, nullable=False, server_default="0"),
    # None of states, which change with each step: open tasks are found by `ended_at`.
    sa.Index(None, "key_id", "sequence"),
    sa.Index(None, "ended_at"),
    sqlite_autoincrement=True,  # a number of a deleted task must not come again
)

events = sa.Table(
    "events",
    metadata,
    sa.Column("number", _Number, primary_key=True, autoincrement=True),
    sa.Column("task_id", sa.Text, nullable=False, index=True),
    sa.Column("state", sa.Integer, nullable=False),
    sa.Column("at", sa.BigInteger, nullable=False),
)

replays = sa.Table(
    "replays",
    metadata,
    sa.Column("key_id", sa.Text, primary_key=True),
    sa.Column("idempotency_key", sa.Text, primary_key=True),
    sa.Column("body_sha256", sa.Text, nullable=False),
    sa.Column("task_id", sa.Text, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
)

files = sa.Table(
    "files",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("key_id", sa.Text, nullable=False),
    sa.Column("role", sa.Text, nullable=False),  # input, output
    sa.Column("task_id", sa.Text, index=True),
    sa.Column("filename", sa.Text, nullable=False),
    sa.Column("content_type", sa.Text, nullable=False),
    sa.Column("path", sa.Text),  # below the folder of files; null: announced, not uploaded yet
    sa.Column("size", sa.BigInteger),  # as announced until it is uploaded
    sa.Column("sha256", sa.Text),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("expires_at", sa.BigInteger, nullable=False),
    sa.Index(None, "key_id", "created_at"),
    sa.Index(None, "expires_at"),
)

deliveries = sa.Table(
    "deliveries",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("task_id", sa.Text, nullable=False, unique=True),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("next_at", sa.BigInteger),  # null: delivered, or given up
    sa.Column("delivered_at", sa.BigInteger),
    sa.Column("result", sa.Text, nullable=False, server_default=""),
    sa.Index(None, "next_at"),
)
