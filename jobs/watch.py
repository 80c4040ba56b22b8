"""`uso status --watch`: follows a run through its records and its run file."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from jobs import exits, terminal
from jobs.outputs import hint_at_config
from jobs.status import open_output, print_counts, read_last_run
from pipelines.ledger.counts import LedgerCounts
from pipelines.ledger.flags import count_flags
from pipelines.ledger.follow import LedgerFollower
from pipelines.ledger.lease import Heartbeat, read_holder
from pipelines.ledger.liveness import SILENCE_S
from pipelines.ledger.records import Records
from pipelines.storage.patience import LOOK_S
from pipelines.storage.storage import Storage
from pipelines.storage.urls import redact_uri
from pipelines.telemetry.rates import LastMinute

_BAR_WIDTH = 24
_ACTIVE = ("starting", "running")
_CODES = {"completed": exits.DONE, "failed": exits.RUN_FAILED, "interrupted": exits.INTERRUPTED}


@dataclass(frozen=True, slots=True)
class View:
    """The state of a run, as far as its output shows it.

    Attributes:
        counts: the counts of all records, including those of earlier runs.
        run: the content of the newest run file; `starting` as the state of a run without one.
        rows_per_s: rows recorded per second, over the last minute.
        silent_s: seconds since the last sign of life from the driver; 0 for a run that has ended.
    """

    counts: LedgerCounts
    run: Mapping[str, Any]
    rows_per_s: float
    silent_s: float

    @property
    def recorded(self) -> int:
        """The number of rows with a record."""
        return self.counts.completed + self.counts.failed

    @property
    def eta_s(self) -> float | None:
        """Seconds until every row of the manifest has a record; None if unknown."""
        total = self.run["total"]
        if total is None or not self.rows_per_s:
            return None
        return max(0, int(total) - self.recorded) / self.rows_per_s

    @property
    def active(self) -> bool:
        """True if the run has not ended, as far as its run file says."""
        return self.run["state"] in _ACTIVE


class Watcher:
    """Reads an output repeatedly, and each record file only once."""

    def __init__(self, storage: Storage, clock: Callable[[], float] = time.monotonic) -> None:
        self._storage = storage
        self._clock = clock
        self._follower = LedgerFollower(storage)
        self._marks = LastMinute[int]()
        self._heartbeat: Heartbeat | None = None
        self._heard_at = clock()

    def look(self) -> View | None:
        """Return the current state of the last run, or None if there was no run.

        Raises:
            LedgerError: the records are damaged.
            StorageError: the output cannot be read.
        """
        # Read before the records, so that the view of an ended run has all of them.
        run = read_last_run(self._storage)
        holder = read_holder(self._storage)
        if holder is not None and _has_no_run_file(run, holder):
            run = _starting(holder)
        if run is None:
            return None
        counts = self._follower.poll()
        silent_s = self._silent_s(holder) if run["state"] in _ACTIVE else 0.0
        return View(counts, run, self._rows_per_s(counts.completed + counts.failed), silent_s)

    def _rows_per_s(self, recorded: int) -> float:
        now = self._clock()
        then, recorded_then = self._marks.note(now, recorded)
        return (recorded - recorded_then) / (now - then) if now > then else 0.0

    def _silent_s(self, holder: Heartbeat | None) -> float:
        if holder is not None and holder != self._heartbeat:
            self._heartbeat, self._heard_at = holder, self._clock()
        return self._clock() - self._heard_at


def _has_no_run_file(run: Mapping[str, Any] | None, holder: Heartbeat) -> bool:
    """Return True if the holder of the lease has no run file yet."""
    return run is None or (run["state"] in _CODES and run["run_id"] != holder.run_id)


def _starting(holder: Heartbeat) -> dict[str, Any]:
    names = ("reason", "started_at", "updated_at", "total")
    return {"run_id": holder.run_id, "state": "starting", **dict.fromkeys(names)}


def watch_command(
    output: str,
    *,
    every_s: float,
    config_path: Path | None,
    pause: Callable[[float], None] = time.sleep,
) -> int:
    """Follow a run until it has ended, and return the exit code.

    A driver without a sign of life for a minute was killed, or is cut off from its output.

    Args:
        output: the folder or URL of the output.
        every_s: seconds between two looks at the output.
        config_path: the YAML file with the storage options; None: there are no options.
        pause: a function that waits for a number of seconds.
    """
    console = terminal.out()
    try:
        with exits.exit_on_error(), hint_at_config(config_path):
            read_last_run(open_output(output, config_path, patience_s=LOOK_S))
            storage = open_output(output, config_path)
            view = _watch(Watcher(storage), console, partial(pause, every_s))
            # Counted again, because the watcher keeps no examples of failures.
            records = Records(storage)
            counts, flags = records.counts(), count_flags(records)
    except KeyboardInterrupt:
        return exits.INTERRUPTED
    if view is None:
        exits.print_error(f"{redact_uri(output)}: no run; check the path")
        return exits.WRONG_INPUT
    print_counts(storage, counts, view.run, console, flags)
    if view.run["state"] in _CODES:
        return _CODES[view.run["state"]]
    exits.print_error(
        f"run {view.run['run_id']} says {view.run['state']}, but its driver has given no sign of "
        f"life for {view.silent_s:.0f} s: it was killed, or is cut off from the output. Run the "
        "same command to resume"
    )
    return exits.RUN_FAILED


def _watch(watcher: Watcher, console: Console, pause: Callable[[], None]) -> View | None:
    """Show the run until it has ended or its driver is silent, and return the last view."""
    with Live(console=console, auto_refresh=False, transient=True) as live:
        while True:
            view = watcher.look()
            if view is None or not view.active or view.silent_s > SILENCE_S:
                return view
            if console.is_terminal:
                live.update(_display(view), refresh=True)
            else:
                console.print(f"[{time.strftime('%H:%M:%S')}] {line(view)}", soft_wrap=True)
            pause()


def line(view: View) -> str:
    """Return the progress of a run, its speed and the remaining time, as a text."""
    total = view.run["total"]
    of_total = "" if total is None else f" of {total:,}"
    parts = [f"{view.recorded:,}{of_total} rows recorded", f"{view.counts.failed:,} failed"]
    parts.append(f"{view.rows_per_s:.2f} rows/s")
    if view.eta_s is not None:
        parts.append(f"{terminal.duration(view.eta_s)} to go")
    if view.run["state"] == "starting":
        parts.append("a run is starting")
    return " · ".join(parts)


def _display(view: View) -> Group:
    total = view.run["total"]
    bar = ProgressBar(
        total=None if total is None else float(total), completed=view.recorded, width=_BAR_WIDTH
    )
    first = Table.grid(padding=(0, 1))
    first.add_row(bar, Text(line(view)))
    second = Text(terminal.one_line(f"run {view.run['run_id']}"), style="dim")
    codes = view.counts.failed_by_code.items()
    failures = [Text(f"  {terminal.one_line(code)}  {count:,}") for code, count in codes]
    return Group(first, second, *failures)
