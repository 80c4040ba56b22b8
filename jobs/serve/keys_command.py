"""`uso keys`: creates, lists and revokes the API keys of a server, which may be running."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

from rich import box
from rich.table import Table
from rich.text import Text

from jobs import exits, terminal
from jobs.serve.config import load_serve_config
from jobs.serve.dialects.base import moment
from jobs.serve.store.database import open_database
from jobs.serve.store.keys import Key, KeyLimits, KeyStore

T = TypeVar("T")


def create_command(
    config_path: Path, overrides: Sequence[str], name: str, limits: KeyLimits
) -> int:
    """Create a key, print its secret, and return the exit code."""
    if not name.strip():
        exits.print_error("NAME: give a name; an empty one cannot be revoked by name")
        return exits.WRONG_INPUT
    key, secret = _with_keys(config_path, overrides, lambda keys: keys.create(name, limits))
    terminal.out().print(secret, soft_wrap=True)
    terminal.err().print(f"key {key.name}: this secret is shown once, and not kept")
    return exits.DONE


def list_command(config_path: Path, overrides: Sequence[str], *, as_json: bool) -> int:
    """Print the keys without their secrets, and return the exit code."""
    keys = _with_keys(config_path, overrides, lambda store: store.all())
    if as_json:
        terminal.print_json([asdict(key) for key in keys])
        return exits.DONE
    table = Table(box=box.SIMPLE_HEAD)
    for column in ("key", "name", "created", "state", "limits"):
        table.add_column(column, overflow="fold")
    for key in keys:
        table.add_row(*(Text(terminal.one_line(cell)) for cell in _cells(key)))
    terminal.out().print(table)
    return exits.DONE


def revoke_command(config_path: Path, overrides: Sequence[str], key: str) -> int:
    """End the keys with an id, a name or a beginning, and return the exit code."""
    revoked = _with_keys(config_path, overrides, lambda keys: keys.revoke(key))
    if not revoked:
        exits.print_error(f"there is no valid key {key!r}; `uso keys list` shows all")
        return exits.WRONG_INPUT
    for each in revoked:
        terminal.out().print(f"revoked {terminal.one_line(each.name)} ({each.prefix}…)")
    return exits.DONE


def _with_keys(
    config_path: Path, overrides: Sequence[str], work: Callable[[KeyStore], Awaitable[T]]
) -> T:
    async def run() -> T:
        async with open_database(config.serve.database, exclusive=False) as database:
            return await work(KeyStore(database))

    with exits.exit_on_error():
        config = load_serve_config(config_path, overrides)
        return asyncio.run(run())


def _cells(key: Key) -> tuple[str, ...]:
    limits = asdict(key.limits)
    may = ["batch"] if limits.pop("batch") else []
    most = [f"{name} {value:,}" for name, value in limits.items() if value is not None]
    state = "valid" if key.revoked_at is None else f"revoked {moment(key.revoked_at)}"
    return f"{key.prefix}…", key.name, moment(key.created_at), state, ", ".join([*may, *most])
