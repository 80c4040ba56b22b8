"""Facts about a request that its handler learns, for the access log."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(slots=True)
class Notes:
    """Facts about one request.

    Attributes:
        key: the first characters of its key; empty: it has no valid one.
        task_id: the task that it made; empty: none.
    """

    key: str = ""
    task_id: str = ""


_current: ContextVar[Notes | None] = ContextVar("notes", default=None)


def begin() -> Notes:
    """Start the notes of a request, in the asyncio task that serves it."""
    notes = Notes()
    _current.set(notes)
    return notes


def current_key() -> str:
    """Return the first characters of the key of the request under way; empty before it is known."""
    notes = _current.get()
    return "" if notes is None else notes.key


def note(*, key: str | None = None, task_id: str | None = None) -> None:
    """Note facts about the request under way, if there is one."""
    notes = _current.get()
    if notes is None:
        return
    notes.key = notes.key if key is None else key
    notes.task_id = notes.task_id if task_id is None else task_id
