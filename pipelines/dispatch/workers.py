"""The interface between the dispatcher and its workers: Ray actors, or threads in a test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from pipelines.config.telemetry import LoggingConfig
from pipelines.rows import ManifestRow, Outcome
from pipelines.worker.activity import Activity


@dataclass(frozen=True, slots=True)
class WorkerEnv:
    """Environment variables of the workers.

    Attributes:
        plain: set before the process starts; Ray writes them to its logs.
        secret: set in the process before anything is loaded; never shown.
    """

    plain: Mapping[str, str] = field(default_factory=dict)
    secret: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class WorkerTelemetry:
    """Telemetry settings of the workers.

    Attributes:
        run_id: the run's id in their metrics and log.
        logging: format and level of their log.
    """

    run_id: str = ""
    logging: LoggingConfig = field(default_factory=LoggingConfig)


@dataclass(frozen=True, slots=True)
class Ready:
    """A worker has loaded its model and takes rows."""

    worker: str
    device: str


@dataclass(frozen=True, slots=True)
class Finished:
    """A row has ended, completed or failed; the worker keeps working.

    Attributes:
        attempts: attempts that it took; more than one if the pool itself tries rows again whose
            worker died.
    """

    worker: str
    outcome: Outcome
    attempts: int = 1


@dataclass(frozen=True, slots=True)
class Returned:
    """A row has come back as it was: it had not begun."""

    worker: str
    row_id: str


@dataclass(frozen=True, slots=True)
class Raised:
    """The worker's code raised on a row: a bug; the worker keeps working."""

    worker: str
    row_id: str
    error: str


@dataclass(frozen=True, slots=True)
class Lost:
    """A worker died with all its rows; `Ready` follows once it is replaced."""

    worker: str
    reason: str


@dataclass(frozen=True, slots=True)
class StartFailed:
    """A worker or its replacement did not start; another start is in progress."""

    worker: str
    reason: str


Event = Ready | Finished | Returned | Raised | Lost | StartFailed


class WorkerPool(Protocol):
    """Workers by name, each of which holds several rows and generates one at a time."""

    @property
    def placed(self) -> int:
        """Number of workers that have a process: they load their model or are ready."""

    def submit(self, worker: str, rows: Sequence[ManifestRow]) -> None:
        """Give rows to a ready worker; returns at once."""

    def wait(self, timeout_s: float) -> list[Event]:
        """Return the events since the last call; wait up to `timeout_s` for the first."""

    def cancel(self, worker: str, row_id: str) -> None:
        """Let a worker end a row soon; `Finished` follows with an outcome that is `cancelled`.

        The row may have ended before, in any other way.
        """

    def kill(self, worker: str) -> None:
        """Kill a worker at once, e.g. one that hangs; `Lost` follows, then `Ready`."""


class WatchedPool(WorkerPool, Protocol):
    """A pool that also reports the activity of its workers and the state of the cluster."""

    @property
    def head_lost(self) -> bool:
        """True if the cluster no longer answers."""

    def withdraw(self) -> None:
        """Take back rows that have not begun, if the pool can; `Returned` follows for each."""

    def poll_activity(self) -> list[Activity]:
        """Return the last known activity of each worker, without waiting."""


class WakeablePool(WatchedPool, Protocol):
    """A pool that need not wait for an event while rows come from elsewhere."""

    def wake(self) -> None:
        """Let `wait` return at once, or its next call if there is none; any thread may call it."""
