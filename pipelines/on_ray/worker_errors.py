"""Errors of calls to an actor: its worker raised, or its process is gone."""

from __future__ import annotations

import re

from ray.exceptions import OutOfMemoryError, RayTaskError

from pipelines.dispatch.workers import Event, Lost, Raised

_ANSI_COLOUR = re.compile(r"\x1b\[[0-9;]*m")  # in Ray's tracebacks


def row_event(worker: str, row_id: str, error: BaseException) -> Event:
    """Classify the error of a row: the worker's code raised, or the worker is dead.

    Only `RayTaskError` comes from the worker's code. For a dead actor Ray answers every call with
    one of several other errors (`RayActorError`, `OutOfMemoryError`, `NodeDiedError`, …).
    """
    if isinstance(error, RayTaskError):
        return Raised(worker, row_id, _ANSI_COLOUR.sub("", str(error)))
    return Lost(worker, reason_of(error))


def reason_of(error: BaseException) -> str:
    """Return the last line of Ray's report: a constructor's exception, or the process's end."""
    text = _ANSI_COLOUR.sub("", str(error))
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    # Below its first line, this one lists the node's processes with their arguments.
    return lines[0] if isinstance(error, OutOfMemoryError) else lines[-1]
