"""The seam between the dispatcher and whatever runs the rows: Ray actors, or threads in a test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from pipelines.config.telemetry import LoggingConfig
from pipelines.rows import ManifestRow, Outcome
from pipelines.worker.activity import Activity


@dataclass(frozen=True, slots=True)
class WorkerEnv:
    """Environment variables of the workers.

    Attributes:
        plain: there when the process starts; Ray writes them to its logs.
        secret: set in the process before anything is loaded, and shown nowhere.
    """

    plain: Mapping[str, str] = field(default_factory=dict)
    secret: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class WorkerTelemetry:
    """How the workers are watched.

    Attributes:
        run_id: in their metrics and their log.
        logging: how they log.
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
    """A row has ended, well or with a failure of its own; the worker goes on."""

    worker: str
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Raised:
    """A row met a bug: the worker's code raised, and the worker goes on."""

    worker: str
    row_id: str
    error: str


@dataclass(frozen=True, slots=True)
class Lost:
    """A worker died with everything that was on it; `Ready` follows when it is replaced."""

    worker: str
    reason: str


@dataclass(frozen=True, slots=True)
class StartFailed:
    """A worker, or its replacement, did not come up; another start is under way."""

    worker: str
    reason: str


Event = Ready | Finished | Raised | Lost | StartFailed


class WorkerPool(Protocol):
    """Workers by name, each of which holds several rows at a time and draws one of them."""

    @property
    def placed(self) -> int:
        """Workers that have found a place to run: they load their model, or are ready."""

    def submit(self, worker: str, row: ManifestRow) -> None:
        """Give a row to a ready worker; returns at once."""

    def wait(self, timeout_s: float) -> list[Event]:
        """What has happened since the last call; waits up to `timeout_s` for the first event."""

    def kill(self, worker: str) -> None:
        """End a worker at once, e.g. because it hangs; `Lost` follows, then `Ready`."""


class WatchedPool(WorkerPool, Protocol):
    """A pool that also tells what its workers, and the cluster below them, are doing."""

    @property
    def head_lost(self) -> bool:
        """The cluster does not answer any more."""

    def poll_activity(self) -> list[Activity]:
        """The last known activity of each worker; never waits."""
