"""Errors of calls to an actor: its worker raised, or its process is gone."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ray.exceptions import OutOfMemoryError, RayTaskError

from pipelines.dispatch.workers import Event, Lost, Raised

_ANSI_COLOUR = re.compile(r"\x1b\[[0-9;]*m")  # in Ray's tracebacks


def call_events(worker: str, row_ids: Sequence[str], error: BaseException) -> list[Event]:
    """Classify the error of a call with rows: our code in the actor raised, or the actor is dead.

    Only `RayTaskError` comes from code in the actor. For a dead actor Ray answers every call with
    one of several other errors (`RayActorError`, `OutOfMemoryError`, `NodeDiedError`, …).
    """
    if isinstance(error, RayTaskError) and row_ids:
        text = _ANSI_COLOUR.sub("", str(error))
        return [Raised(worker, row_id, text) for row_id in row_ids]
    return [Lost(worker, reason_of(error))]


def reason_of(error: BaseException) -> str:
    """Return the last line of Ray's report: a constructor's exception, or the process's end."""
    text = _ANSI_COLOUR.sub("", str(error))
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    # Below its first line, this one lists the node's processes with their arguments.
    return lines[0] if isinstance(error, OutOfMemoryError) else lines[-1]
