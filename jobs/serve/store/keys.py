"""API keys: who may use the server, and how much."""

from __future__ import annotations

import base64
import hashlib
import secrets
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import sqlalchemy as sa
from cachetools import TTLCache

from jobs.serve.store.database import Database, now_ms
from jobs.serve.store.prepared import Prepared
from jobs.serve.store.tables import keys
from jobs.serve.task import new_id
from uso_core.errors import UsoError

FRESH_S = 2.0
"""A change of keys by another process, e.g. `uso keys revoke`, has its effect after this time."""
_MOST_KNOWN = 4096
_SHOWN = 10  # characters of a key that identify it in lists and logs

_LIMITS = Prepared(sa.select(keys.c.id, keys.c.limits))


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyLimits:
    """The most that a key may do; None: no limit of its own.

    Attributes:
        submits_per_min: accepted tasks a minute.
        queued: tasks that wait for an actor.
        at_work: tasks on actors at a time.
        streams: open streams, and requests that wait for the end of a task, at a time.
        stored_mb: megabytes of uploads and images.
        batch: True if it may give the rows of batch runs, whose references and images may be
            anywhere that the actors can read and write.
    """

    submits_per_min: int | None = None
    queued: int | None = None
    at_work: int | None = None
    streams: int | None = None
    stored_mb: int | None = None
    batch: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key without its secret.

    Attributes:
        prefix: its first characters.
        revoked_at: time of its end, in milliseconds since the epoch; None: it is valid.
    """

    id: str
    name: str
    prefix: str
    limits: KeyLimits = field(default_factory=KeyLimits)
    created_at: int = 0
    revoked_at: int | None = None


class NameTakenError(UsoError):
    """A valid key has the name already."""


class KeyStore:
    """Keys by the hash of their secret."""

    def __init__(self, database: Database, fresh_s: float = FRESH_S) -> None:
        self._database = database
        self._valid: TTLCache[str, Key] = TTLCache(_MOST_KNOWN, fresh_s, timer=time.monotonic)
        self._limits: TTLCache[None, Mapping[str, int]]
        self._limits = TTLCache(1, fresh_s, timer=time.monotonic)

    async def create(self, name: str, limits: KeyLimits | None = None) -> tuple[Key, str]:
        """Make a key, and return it with its secret, which is not kept.

        Raises:
            NameTakenError: a valid key has this name, so that `revoke` would end both.
        """
        secret = "uso_" + base64.b32encode(secrets.token_bytes(32)).decode().rstrip("=").lower()
        key = Key(
            id=new_id(),
            name=name,
            prefix=secret[:_SHOWN],
            limits=limits or KeyLimits(),
            created_at=now_ms(),
        )
        row = {**asdict(key), "sha256": _sha256(secret)}
        same = sa.select(keys.c.prefix).where(keys.c.name == name, keys.c.revoked_at.is_(None))
        async with self._database.writing() as connection:
            taken = await connection.scalar(same)
            if taken is not None:
                message = f"the key {taken}… is named {name!r}; choose another name, or revoke it"
                raise NameTakenError(message)
            await connection.execute(keys.insert().values(row))
        self._forget()
        return key, secret

    async def find(self, secret: str) -> Key | None:
        """Return the valid key with this secret; one that is revoked may be valid for `FRESH_S`."""
        sha256 = _sha256(secret)
        known = self._valid.get(sha256)
        if known is not None:
            return known
        query = sa.select(keys).where(keys.c.sha256 == sha256)
        async with self._database.looking_up() as connection:
            row = (await connection.execute(query)).one_or_none()
        key = None if row is None else _key(row)
        if key is None or key.revoked_at is not None:
            return None
        self._valid[sha256] = key
        return key

    async def get(self, key_id: str) -> Key | None:
        """Return a key by its id, revoked or not."""
        query = sa.select(keys).where(keys.c.id == key_id)
        async with self._database.reading() as connection:
            row = (await connection.execute(query)).one_or_none()
        return None if row is None else _key(row)

    async def limits_at_work(self) -> Mapping[str, int]:
        """Return the most tasks at work of each key that has such a limit, by its id.

        A change of another process is seen within `FRESH_S`.
        """
        known = self._limits.get(None)
        if known is None:
            async with self._database.looking_up() as connection:
                rows = (await _LIMITS.run(connection, {})).rows
            limits = {row.id: row.limits.get("at_work") for row in rows}
            known = {key_id: most for key_id, most in limits.items() if most is not None}
            self._limits[None] = known
        return known

    async def all(self) -> list[Key]:
        """Return all keys, the oldest first."""
        async with self._database.reading() as connection:
            rows = (await connection.execute(sa.select(keys).order_by(keys.c.created_at))).all()
        return [_key(row) for row in rows]

    async def revoke(self, name_or_prefix: str) -> list[Key]:
        """End the valid keys with this id, name or beginning, and return them."""
        matches = sa.or_(
            keys.c.id == name_or_prefix,
            keys.c.name == name_or_prefix,
            keys.c.prefix == name_or_prefix[:_SHOWN],
        )
        change = keys.update().where(matches, keys.c.revoked_at.is_(None))
        change = change.values(revoked_at=now_ms())
        async with self._database.writing() as connection:
            rows = (await connection.execute(change.returning(keys))).all()
        self._forget()
        return [_key(row) for row in rows]

    def _forget(self) -> None:
        self._valid.clear()
        self._limits.clear()


def _sha256(secret: str) -> str:
    # A key has 256 random bits, so a fast hash without salt is enough.
    return hashlib.sha256(secret.encode()).hexdigest()


def _key(row: sa.Row[Any]) -> Key:
    values = row._mapping  # noqa: SLF001 (the way to the columns by name)
    plain = {name: values[name] for name in ("id", "name", "prefix", "created_at", "revoked_at")}
    return Key(**plain, limits=KeyLimits(**values["limits"]))
