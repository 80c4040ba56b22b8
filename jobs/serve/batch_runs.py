"""Runs that use the actors of this server: their rows, and the outcomes that they wait for.

Nothing here is kept on disk. A run has its own records, and gives its rows again to a server that
was started anew.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from jobs.serve.changes import Changes
from jobs.serve.errors import ApiError
from jobs.serve.lanes import RowLane
from jobs.serve.task import new_id
from pipelines.dispatch.tasks import Settled
from pipelines.handling import Destination, Handling
from pipelines.rows import Entry, ManifestRow, RejectedRow
from pipelines.through.wire import Ended
from pipelines.worker.activity import Activity

logger = logging.getLogger(__name__)

LEFT_AFTER_S = 90.0
"""A run that asks for no outcome for this long has ended: its rows are dropped."""


@dataclass(slots=True)
class Session:
    """One run at this process of the server.

    Attributes:
        key_id: the key that opened it.
        destination: the folder of its images.
        rows: rows without an outcome, by the id that they have here.
        ended: outcomes that the run has not confirmed yet.
        count: number of outcomes so far.
        seen_at: time of its last request, on the monotonic clock.
        is_over: True once it has ended.
    """

    id: str
    key_id: str
    destination: Destination
    rows: dict[str, Entry[ManifestRow]] = field(default_factory=dict)
    ended: deque[Ended] = field(default_factory=deque)
    count: int = 0
    seen_at: float = field(default_factory=time.monotonic)
    is_over: bool = False


class BatchRuns:
    """The sessions of all runs. For the event loop alone, except `lane` and `drops`.

    Attributes:
        lane: the rows that wait; the dispatcher takes them.
        drops: rows that are no longer wanted, for the dispatcher; True: also on an actor.
        activity: the work of the actors at the last look; None: not known.
    """

    def __init__(self, changes: Changes) -> None:
        """Tell `changes` of outcomes, by the id of the session."""
        self._changes = changes
        self.lane = RowLane()
        self.drops: deque[tuple[str, bool]] = deque()
        self.activity: Activity | None = None
        self._sessions: dict[str, Session] = {}

    def __len__(self) -> int:
        return len(self._sessions)

    def open(self, key_id: str, destination: Destination) -> Session:
        """Begin a session; an earlier one of the same folder ends: its run has lost the lease."""
        for other in list(self._sessions.values()):
            if other.destination.path == destination.path:
                self.end(other)
        session = Session(new_id(), key_id, destination)
        self._sessions[session.id] = session
        logger.info("batch_run_begun session=%s run_id=%s", session.id, destination.run_id)
        return session

    def get(self, session_id: str, key_id: str) -> Session:
        """Return a session, which counts as a sign of life.

        Raises:
            ApiError: this process does not know it.
        """
        session = self._sessions.get(session_id)
        if session is None or session.key_id != key_id:
            raise _unknown()
        session.seen_at = time.monotonic()
        return session

    def add(self, session: Session, rows: Sequence[ManifestRow]) -> None:
        """Let rows wait for an actor; a row that is here already is left as it is."""
        entries = []
        for row in rows:
            here = f"{session.id} {row.id}"
            if here in session.rows:
                continue
            handling = Handling(attempts=1, destination=session.destination, row_id=row.id)
            session.rows[here] = Entry(replace(row, id=here, handling=handling))
            entries.append(session.rows[here])
        self.lane.add(entries, session.id)

    async def outcomes(self, session: Session, after: int, wait_s: float) -> list[Ended]:
        """Forget outcomes up to `after`, and return the others; wait for the first.

        Raises:
            ApiError: the session ends meanwhile, or the server does.
        """
        while session.ended and session.ended[0].number <= after:
            session.ended.popleft()
        with self._changes.watching(session.id) as watch:
            if not (session.ended or session.is_over or self._changes.closing):
                await watch.changed(wait_s)
        if session.is_over:
            raise _unknown()
        if self._changes.closing:
            raise ApiError(503, "the server stops")
        session.seen_at = time.monotonic()
        return list(session.ended)

    def settle(self, settled: Settled) -> None:
        """Take the outcome of a row."""
        session_id, _, row_id = settled.outcome.row_id.partition(" ")
        session = self._sessions.get(session_id)
        if session is None or session.rows.pop(settled.outcome.row_id, None) is None:
            return
        session.count += 1
        outcome = replace(settled.outcome, row_id=row_id)
        attempts = max(1, settled.attempt)
        session.ended.append(Ended(number=session.count, attempts=attempts, outcome=outcome))
        self._changes.tell(session.id)

    def withdraw(self, session: Session) -> list[str]:
        """Take back the rows that wait, and return the ids of the run.

        Of the rows that the dispatcher has, the waiting ones come back as cancelled.
        """
        entries = self.lane.remove_all(session.id)
        for entry in entries:
            session.rows.pop(entry.row.id, None)
        self.drops.extend((row_id, False) for row_id in session.rows)
        return [entry.row.id.partition(" ")[2] for entry in entries]

    def end(self, session: Session) -> None:
        """End a session: cancel its rows, and drop its outcomes."""
        self._sessions.pop(session.id, None)
        session.is_over = True
        self.lane.remove_all(session.id)
        self.drops.extend((row_id, True) for row_id in session.rows)
        self._changes.tell(session.id)
        logger.info("batch_run_ended session=%s rows_dropped=%d", session.id, len(session.rows))

    def end_left(self) -> None:
        """End the sessions of runs that are gone."""
        for session in list(self._sessions.values()):
            if time.monotonic() - session.seen_at > LEFT_AFTER_S:
                self.end(session)

    def give_back(self) -> None:
        """Let all rows wait again, after the actors were lost."""
        for session in self._sessions.values():
            self.lane.remove_all(session.id)
            self.lane.add(session.rows.values(), session.id)

    def note_activity(self, activities: Iterable[Activity]) -> None:
        """Take the work of all actors."""
        names = ("fetching", "drawing", "storing", "cache_hits", "cache_misses")
        more = ("fetched_bytes", "stored_bytes")
        known = list(activities)
        sums = {name: sum(getattr(each, name) for each in known) for name in (*names, *more)}
        self.activity = Activity(**sums)


def _unknown() -> ApiError:
    return ApiError(410, "this session has ended, or was opened before a restart")


def is_of_a_run(row: ManifestRow | RejectedRow) -> bool:
    """Return True for a row of a run, False for a task."""
    handling = row.handling if isinstance(row, ManifestRow) else None
    return handling is not None and handling.destination is not None
