"""The state of a run at one moment, and the listeners that are shown it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from pipelines.failures import FailureCode


@dataclass(frozen=True, slots=True, kw_only=True)
class Queues:
    """Where the rows are that have been read and are not recorded yet.

    Attributes:
        read_ahead: given to no worker yet.
        retry: waiting for another try.
        fetching: on the workers, their references on the way.
        drawing: on the workers' devices, or next in line for them.
        storing: on the workers, their images being encoded and written.
        commit: settled; their records wait to be written.
    """

    read_ahead: int = 0
    retry: int = 0
    fetching: int = 0
    drawing: int = 0
    storing: int = 0
    commit: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The run at one moment.

    Attributes:
        total: rows of the manifest; None where that is not known in advance.
        completed: rows recorded or about to be, by this run.
        failed: likewise.
        failed_by_code: rows by failure code.
        skipped: rows that were recorded before.
        images: drawn by this run.
        elapsed_s: since the run began.
        images_per_s: over the last minute.
        eta_s: seconds until the end at that rate; None while it can't be told.
        device_busy: share of the ready actors' time that went into drawing, over the last minute, 0
            to 1; rows count when they settle. None: no actor is ready.
        waiting_for: what holds the run up most, in words; empty: it is drawing.
    """

    total: int | None = None
    completed: int = 0
    failed: int = 0
    failed_by_code: Mapping[FailureCode, int] = field(default_factory=dict)
    skipped: int = 0
    images: int = 0
    elapsed_s: float = 0
    images_per_s: float = 0
    eta_s: float | None = None
    device_busy: float | None = None
    actors_ready: int = 0
    actors_total: int = 0
    in_flight: int = 0
    queues: Queues = Queues()
    waiting_for: str = ""

    @property
    def rows_done(self) -> int:
        """Rows that have come to their end, in this run or before it."""
        return self.completed + self.failed + self.skipped


class Listener(Protocol):
    """Whoever wants to see the run go on."""

    def update(self, snapshot: Snapshot) -> None:
        """Called about twice a second from the driver's thread."""
