"""Tells if the driver of a run that has not ended is still alive, from its lease."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Literal

from pipelines.errors import StorageError
from pipelines.ledger.lease import AT, LEASE_PATH, read_holder
from pipelines.storage.storage import Storage

SILENCE_S = 60.0
"""A driver without a heartbeat for this long was killed, or is cut off: it renews it every 10 s."""


@dataclass(frozen=True, slots=True)
class Liveness:
    """Signs of life from the driver of a run.

    Attributes:
        driver: `alive`, `dead`, or `silent`: on another machine, without a heartbeat for a minute.
        heartbeat_at: time of the last heartbeat by the driver's clock, in ISO 8601; None: unknown.
    """

    driver: Literal["alive", "silent", "dead"]
    heartbeat_at: str | None = None


def liveness(storage: Storage, run_id: str) -> Liveness:
    """Look once at the lease of an output, for the driver of `run_id`.

    A driver on this machine is looked up by its process. Of another one, only the time of the last
    heartbeat is known, by its own clock.

    Raises:
        StorageError: the lease cannot be read.
    """
    holder = read_holder(storage)
    if holder is None or holder.run_id != run_id:
        return Liveness("dead")
    at = _heartbeat_at(storage)
    written = None if at is None else at.isoformat()
    if holder.is_here:
        return Liveness("dead" if holder.is_dead else "alive", written)
    silent = at is not None and (datetime.now(timezone.utc) - at).total_seconds() > SILENCE_S
    return Liveness("silent" if silent else "alive", written)


def _heartbeat_at(storage: Storage) -> datetime | None:
    """Return the time in the lease; None if it has none, or is gone."""
    try:
        at = datetime.fromisoformat(json.loads(storage.read(LEASE_PATH))[AT])
    except StorageError as error:
        if error.fault == "not_found":
            return None
        raise
    except (ValueError, KeyError, TypeError):  # of an earlier version, or damaged
        return None
    return at if at.tzinfo else None
