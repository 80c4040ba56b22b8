"""The state of a run at one moment, and the listeners that are shown it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from pipelines.failures import FailureCode


@dataclass(frozen=True, slots=True, kw_only=True)
class Queues:
    """Rows that were read and are not recorded yet, by stage.

    Attributes:
        read_ahead: not given to a worker yet.
        retry: waiting for a retry.
        fetching: on a worker, fetching references.
        drawing: on a device, or next in line for it.
        storing: on a worker, encoding and writing images.
        commit: settled, with a record that waits for its commit.
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
        total: rows of the manifest; None: unknown in advance.
        completed: rows that this run completed.
        failed: rows that failed in this run.
        failed_by_code: failed rows by failure code.
        skipped: rows that were recorded before.
        images: images that this run generated.
        flagged: images that the safety check flagged, withheld ones included.
        scores: mean of each score over the images so far; None: no image has it.
        elapsed_s: seconds since the run started.
        images_per_s: rate over the last minute.
        eta_s: seconds until the end at that rate; None: not known yet.
        device_busy: share of the ready actors' time spent on the device, over the last minute, 0 to
            1; rows count when they settle. None: no actor is ready.
        waiting_for: the main cause of delay, in words; empty: devices are busy.
    """

    total: int | None = None
    completed: int = 0
    failed: int = 0
    failed_by_code: Mapping[FailureCode, int] = field(default_factory=dict)
    skipped: int = 0
    images: int = 0
    flagged: int = 0
    scores: Mapping[str, float | None] = field(default_factory=dict)
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
        """Number of rows with a record, of this run or an earlier one."""
        return self.completed + self.failed + self.skipped


class Listener(Protocol):
    """Receives snapshots of a run."""

    def update(self, snapshot: Snapshot) -> None:
        """Receive a snapshot; called about twice a second from the driver's thread."""
