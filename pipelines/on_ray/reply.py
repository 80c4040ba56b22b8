"""The answer of an actor to a call with rows."""

from __future__ import annotations

import pickle
import traceback
from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.dispatch.workers import Event, Finished, Raised
from pipelines.on_ray.row_threads import Ended
from pipelines.on_ray.worker_errors import call_events


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to one call.

    Attributes:
        row_ids: the rows that the call has brought.
        ended: rows of this call and of earlier ones.
        error: the error instead of an answer; None: there was an answer.
    """

    row_ids: Sequence[str]
    ended: Sequence[Ended]
    error: BaseException | None

    def events(self, worker: str) -> list[Event]:
        """Return the events of a worker that the answer tells."""
        if self.error is not None:
            return call_events(worker, self.row_ids, self.error)
        return [_event(worker, each) for each in self.ended]


def _event(worker: str, ended: Ended) -> Event:
    if ended.outcome is None:
        return Raised(worker, ended.row_id, ended.error)
    try:
        return Finished(worker, pickle.loads(ended.outcome))  # noqa: S301 (our actor made it)
    except Exception:  # noqa: BLE001 (whatever a value of a plug-in raises)
        return Raised(worker, ended.row_id, traceback.format_exc())
