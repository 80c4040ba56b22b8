"""What a run shows while it goes on: a live display in a terminal, a line every 30 s elsewhere."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from jobs.pace import Pace
from pipelines.config.telemetry import LoggingConfig

if TYPE_CHECKING:
    from pipelines.telemetry.snapshot import Snapshot

logger = logging.getLogger(__name__)

_EVERY_S = 30.0
_BAR_WIDTH = 24


class Display(Protocol):
    """Shows snapshots of a run for as long as it is entered; a `pipelines.driver.run.Listener`."""

    def __enter__(self) -> Display: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def update(self, snapshot: Snapshot) -> None:
        """Take in how far the run is."""


def display_for(console: Console, config: LoggingConfig) -> Display:
    """The display that fits where `console` writes to, and the log that goes there, too."""
    if console.is_terminal:
        return LiveDisplay(console)
    return PeriodicDisplay(partial(print_line, console) if config.format == "text" else log_line)


class LiveDisplay:
    """Two lines, one with a bar, that are drawn over and over at the bottom of a terminal."""

    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, auto_refresh=False)

    def __enter__(self) -> LiveDisplay:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()

    def update(self, snapshot: Snapshot) -> None:
        """Draw `snapshot`."""
        total = None if snapshot.total is None else float(snapshot.total)
        bar = ProgressBar(total=total, completed=snapshot.rows_done, width=_BAR_WIDTH)
        first = Table.grid(padding=(0, 1))
        first.add_row(bar, Text(rows_line(snapshot)))
        second = Text(workers_line(snapshot), style="dim")
        self._live.update(Group(first, second), refresh=True)


class PeriodicDisplay:
    """Says how far the run is at its start, every 30 s, and at its end."""

    def __init__(
        self, say: Callable[[Snapshot], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._say = say
        self._pace = Pace(_EVERY_S, clock)
        self._unsaid: Snapshot | None = None

    def __enter__(self) -> PeriodicDisplay:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._unsaid is not None:
            self._say(self._unsaid)

    def update(self, snapshot: Snapshot) -> None:
        """Say `snapshot` if it is time to, or keep it in case it is the last one."""
        if self._pace.due():
            self._unsaid = None
            self._say(snapshot)
        else:
            self._unsaid = snapshot


def print_line(console: Console, snapshot: Snapshot) -> None:
    """Print a snapshot as a line of text."""
    elapsed = duration(snapshot.elapsed_s)
    parts = (f"[{elapsed}] {rows_line(snapshot)}", workers_line(snapshot))
    console.print(" · ".join(part for part in parts if part), soft_wrap=True)


def log_line(snapshot: Snapshot) -> None:
    """Log a snapshot."""
    logger.info(
        "run_progress total=%s completed=%d failed=%d skipped=%d images=%d images_per_s=%.3f"
        " eta_s=%s actors_ready=%d in_flight=%d waiting_for=%s",
        snapshot.total, snapshot.completed, snapshot.failed, snapshot.skipped, snapshot.images,
        snapshot.images_per_s, snapshot.eta_s, snapshot.actors_ready, snapshot.in_flight,
        snapshot.waiting_for,
    )  # fmt: skip


def rows_line(snapshot: Snapshot) -> str:
    """How far the rows are, how fast, and how long it will take."""
    of_total = "" if snapshot.total is None else f" of {snapshot.total:,}"
    parts = [f"{snapshot.rows_done:,}{of_total} rows", f"{snapshot.failed:,} failed"]
    if snapshot.skipped:
        parts.append(f"{snapshot.skipped:,} recorded before")
    parts.append(f"{snapshot.images_per_s:.2f} images/s")
    if snapshot.eta_s is not None:
        parts.append(f"{duration(snapshot.eta_s)} to go")
    return " · ".join(parts)


def workers_line(snapshot: Snapshot) -> str:
    """How many actors are at work, on how much, and what the run waits for."""
    parts = []
    if snapshot.actors_total:
        parts.append(f"{snapshot.actors_ready} of {snapshot.actors_total} actors ready")
        parts.append(f"{snapshot.in_flight} rows in flight")
    if snapshot.waiting_for:
        parts.append(snapshot.waiting_for)
    return " · ".join(parts)


def duration(seconds: float) -> str:
    """Seconds as h:mm:ss, with days in front where there are any."""
    return str(timedelta(seconds=round(seconds)))
