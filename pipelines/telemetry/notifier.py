"""Make the events of a run for a web server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from pipelines.config.telemetry import EventKind, NotifyConfig
from pipelines.moments import utc_now
from pipelines.telemetry.snapshot import Snapshot
from pipelines.telemetry.webhook import Event

RunStatus = Literal["running", "completed", "failed", "cancelled"]

STATUS_NUMBERS: dict[RunStatus, int] = {
    "running": 7,
    "completed": 9,
    "failed": 10,
    "cancelled": 11,
}
"""The numbers of these states in inference.sh's REST interface."""


class Notifier:
    """Makes a run's events; a `pipelines.telemetry.snapshot.Listener`, to see its progress.

    A `progress` event is sent each time another `every_percent` of the manifest's rows are done,
    including rows that were recorded before. There is no such event if the number of rows is
    unknown in advance, and none at 100 %, where `end` follows.
    """

    def __init__(
        self,
        run_id: str,
        output_uri: str,
        config: NotifyConfig,
        send: Callable[[Event], None],
    ) -> None:
        """Make the events that `config` selects.

        Args:
            run_id: the run's id.
            output_uri: the output's URI, without credentials.
            config: selects the events.
            send: takes an event and returns at once.
        """
        self._run_id = run_id
        self._output_uri = output_uri
        self._config = config
        self._send = send
        self._created_at = utc_now("milliseconds")
        self._steps = 0

    def started(self, snapshot: Snapshot) -> None:
        """Announce the start of the run."""
        self._tell("start", "running", snapshot)

    def update(self, snapshot: Snapshot) -> None:
        """Send a `progress` event if one is due."""
        percent = _percent(snapshot)
        if percent is None or percent >= 100:
            return
        steps = int(percent / self._config.every_percent)
        if steps > self._steps:
            self._steps = steps
            self._tell("progress", "running", snapshot)

    def ended(self, snapshot: Snapshot, *, interrupted: bool, error: str | None = None) -> None:
        """Announce the end of the run; `error` names a problem that did not stop it."""
        self._tell("end", "cancelled" if interrupted else "completed", snapshot, error)

    def failed(self, snapshot: Snapshot, reason: str) -> None:
        """Announce a run that could not continue."""
        self._tell("failure", "failed", snapshot, reason)

    def _tell(
        self, kind: EventKind, status: RunStatus, snapshot: Snapshot, error: str | None = None
    ) -> None:
        if kind not in self._config.events:
            return
        payload = {
            "id": self._run_id,
            "status": STATUS_NUMBERS[status],
            "status_name": status,
            "event": kind,
            "output": self._output(snapshot),
            "error": error,
            "created_at": self._created_at,
            "updated_at": utc_now("milliseconds"),
        }
        self._send(Event(kind, payload))

    def _output(self, snapshot: Snapshot) -> dict[str, Any]:
        return {
            "uri": self._output_uri,
            "total": snapshot.total,
            "completed": snapshot.completed,
            "failed": snapshot.failed,
            "failed_by_code": dict(snapshot.failed_by_code),
            "skipped": snapshot.skipped,
            "images": snapshot.images,
            "percent": _percent(snapshot),
            "elapsed_s": round(snapshot.elapsed_s, 3),
            "eta_s": None if snapshot.eta_s is None else round(snapshot.eta_s, 3),
        }


def _percent(snapshot: Snapshot) -> float | None:
    if not snapshot.total:
        return None
    return round(100 * snapshot.rows_done / snapshot.total, 3)
