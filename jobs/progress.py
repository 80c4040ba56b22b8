"""Progress of a run: a live display in a terminal, a line every 30 s elsewhere."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from jobs import terminal
from pipelines.config.telemetry import LoggingConfig

if TYPE_CHECKING:
    from pipelines.telemetry.snapshot import Snapshot

logger = logging.getLogger(__name__)

_EVERY_S = 30.0
_BAR_WIDTH = 24


class Display(Protocol):
    """A context manager that shows snapshots of a run; a `pipelines.driver.run.Listener`."""

    def __enter__(self) -> Display: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def update(self, snapshot: Snapshot) -> None:
        """Show or keep a snapshot."""


def display_for(console: Console, config: LoggingConfig) -> Display:
    """Return the display that suits the console and the format of the log beside it."""
    if console.is_terminal:
        return LiveDisplay(console)
    return PeriodicDisplay(partial(print_line, console) if config.format == "text" else log_line)


class LiveDisplay:
    """Redraws two lines, one with a bar, at the bottom of a terminal."""

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
        """Show a snapshot."""
        total = None if snapshot.total is None else float(snapshot.total)
        bar = ProgressBar(total=total, completed=snapshot.rows_done, width=_BAR_WIDTH)
        first = Table.grid(padding=(0, 1))
        first.add_row(bar, Text(rows_line(snapshot)))
        second = Text(workers_line(snapshot), style="dim")
        self._live.update(Group(first, second), refresh=True)


class PeriodicDisplay:
    """Prints the progress at the start of a run, every 30 s, and at the end."""

    def __init__(
        self, show: Callable[[Snapshot], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._show = show
        self._pace = terminal.Pace(_EVERY_S, clock)
        self._unshown: Snapshot | None = None

    def __enter__(self) -> PeriodicDisplay:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._unshown is not None:
            self._show(self._unshown)

    def update(self, snapshot: Snapshot) -> None:
        """Print a snapshot if a line is due; otherwise keep it in case it is the last one."""
        if self._pace.due():
            self._unshown = None
            self._show(snapshot)
        else:
            self._unshown = snapshot


def print_line(console: Console, snapshot: Snapshot) -> None:
    """Print a snapshot as a line of text."""
    elapsed = terminal.duration(snapshot.elapsed_s)
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
    """Return the number of rows done, the speed and the remaining time, as a text."""
    of_total = "" if snapshot.total is None else f" of {snapshot.total:,}"
    parts = [f"{snapshot.rows_done:,}{of_total} rows", f"{snapshot.failed:,} failed"]
    if snapshot.skipped:
        parts.append(f"{snapshot.skipped:,} recorded before")
    parts.append(f"{snapshot.images_per_s:.2f} images/s")
    if snapshot.eta_s is not None:
        parts.append(f"{terminal.duration(snapshot.eta_s)} to go")
    return " · ".join(parts)


def workers_line(snapshot: Snapshot) -> str:
    """Return the number of ready actors, the rows in flight and the current wait, as a text."""
    parts = []
    if snapshot.actors_total:
        parts.append(f"{snapshot.actors_ready} of {snapshot.actors_total} actors ready")
        parts.append(f"{snapshot.in_flight} rows in flight")
    if snapshot.waiting_for:
        parts.append(snapshot.waiting_for)
    return " · ".join(parts)
