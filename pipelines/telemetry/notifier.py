"""Which events a run sends, and what they say."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any, Literal

from pipelines.config.telemetry import EventKind, NotifyConfig
from pipelines.telemetry.snapshot import Snapshot
from pipelines.telemetry.webhook import Event

RunStatus = Literal["running", "completed", "failed", "cancelled"]

STATUS_NUMBERS: dict[RunStatus, int] = {
    "running": 7,
    "completed": 9,
    "failed": 10,
    "cancelled": 11,
}
"""The task states of inference.sh's REST interface that a run can be in, by their numbers there."""


class Notifier:
    """Makes a run's events; a `pipelines.telemetry.snapshot.Listener` for the sake of its progress.

    A `progress` is sent when another `every_percent` of the manifest's rows have come to their end,
    rows that were recorded before included; none where the number of rows is not known in advance.
    What 100 % would say is said by `end`.
    """

    def __init__(
        self,
        run_id: str,
        output_uri: str,
        config: NotifyConfig,
        send: Callable[[Event], None],
    ) -> None:
        """Make the events that `config` asks for.

        Args:
            run_id: of the run.
            output_uri: of its output, without credentials.
            config: which events.
            send: takes each of them, and returns at once.
        """
        self._run_id = run_id
        self._output_uri = output_uri
        self._config = config
        self._send = send
        self._created_at = _now()
        self._steps = 0

    def started(self, snapshot: Snapshot) -> None:
        """The run is about to work on its rows."""
        self._tell("start", "running", snapshot)

    def update(self, snapshot: Snapshot) -> None:
        """Send a `progress` if it is due."""
        percent = _percent(snapshot)
        if percent is None or percent >= 100:
            return
        steps = int(percent / self._config.every_percent)
        if steps > self._steps:
            self._steps = steps
            self._tell("progress", "running", snapshot)

    def ended(self, snapshot: Snapshot, *, interrupted: bool, error: str | None = None) -> None:
        """The run has come to its end; `error` says what is wrong with it nevertheless."""
        self._tell("end", "cancelled" if interrupted else "completed", snapshot, error)

    def failed(self, snapshot: Snapshot, reason: str) -> None:
        """The run could not go on."""
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
            "updated_at": _now(),
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


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")
