"""The actors of a server as a `WatchedPool`: rows go to its batch lane, and outcomes come back.

Rows stay in the memory of this process until their outcome has come. If the server goes away, the
pool waits for it, announces the run anew and gives all its rows again: the names of the images
follow from the rows, so a row that is generated twice gives the same files.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections import deque
from collections.abc import Iterator, Sequence

from pipelines.dispatch.workers import Event, Finished, Ready, Returned
from pipelines.errors import ClusterError
from pipelines.failures import Failure
from pipelines.handling import Destination
from pipelines.rows import ManifestRow, Outcome
from pipelines.through.absence import Absence
from pipelines.through.link import AwayError, Link, RefusedError, UnknownSessionError
from pipelines.through.wire import Ended
from pipelines.worker.activity import Activity

logger = logging.getLogger(__name__)

_PAUSE_S = 1.0
_POLL_S = 5.0
_LOADING_S = 0.5  # until the actors are ready, which comes without an outcome
_MOST_BYTES = 4 * 2**20  # of rows in one request, or one row
_TOO_LARGE = 413


class ServerPool:
    """Workers that stand for the actors of a server; which one has a row is the server's choice.

    Two threads talk to the server: one gives rows, the other waits for outcomes.
    """

    def __init__(
        self, link: Link, destination: Destination, workers: int, give_up_after_s: float
    ) -> None:
        """Announce a run.

        Args:
            link: the connection; the pool closes it.
            destination: the folder of the images.
            workers: number of the server's actors.
            give_up_after_s: seconds without an answer that end the run.

        Raises:
            ClusterError: the server refuses the run, or is away.
        """
        self._link = link
        self._destination = destination
        self._names = [f"server-{number}" for number in range(workers)]
        self._absence = Absence(link.url, give_up_after_s)
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._changed = threading.Condition()
        self._rows: dict[str, tuple[str, ManifestRow]] = {}  # by id, with the worker
        self._unsent: deque[str] = deque()
        self._activity: Activity | None = None
        self._ready = self._closed = False
        self._error: BaseException | None = None
        self._reopening = threading.Lock()
        self._session = self._open()
        self._threads = [
            threading.Thread(target=self._guarded, args=(work,), daemon=True, name=f"server-{work}")
            for work in ("give", "receive")
        ]
        for thread in self._threads:
            thread.start()

    @property
    def placed(self) -> int:
        """Number of workers: the server has placed them."""
        return len(self._names)

    @property
    def head_lost(self) -> bool:
        """False: `wait` raises if the server stays away."""
        return False

    def submit(self, worker: str, rows: Sequence[ManifestRow]) -> None:
        """Give rows to the server; returns at once."""
        with self._changed:
            for row in rows:
                self._rows[row.id] = (worker, row)
                self._unsent.append(row.id)
            self._changed.notify_all()

    def wait(self, timeout_s: float) -> list[Event]:
        """Return the events since the last call; wait up to `timeout_s` for the first.

        Raises:
            ClusterError: the server is away for too long, or refuses the run.
        """
        events = list(self._taken(timeout_s))
        if not events:
            self._check()
        return events

    def cancel(self, worker: str, row_id: str) -> None:
        """Do nothing: a run cancels no row."""

    def kill(self, worker: str) -> None:
        """Do nothing: the server watches the time of its rows."""

    def withdraw(self) -> None:
        """Take back the rows that no actor has; `Returned` follows for each."""
        with self._changed:
            unsent = list(self._unsent)
            self._unsent.clear()
        self._return(unsent)
        try:
            self._return(self._link.withdraw(self._session))
        except (AwayError, UnknownSessionError):  # then none of its rows is on an actor
            with self._changed:
                everything = list(self._rows)
            self._return(everything)

    def poll_activity(self) -> list[Activity]:
        """Return the last known activity of the server's actors, as one."""
        return [] if self._activity is None else [self._activity]

    def close(self) -> None:
        """Let the server drop the rows of the run, and end the threads."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        try:
            self._link.end(self._session)
        except (AwayError, UnknownSessionError, RefusedError):
            logger.info("server_session_left url=%s", self._link.url)  # it ends there by itself
        self._link.close()
        for thread in self._threads:
            thread.join()

    # In the driver's thread

    def _taken(self, timeout_s: float) -> Iterator[Event]:
        try:
            yield self._events.get(timeout=timeout_s)
            while True:
                yield self._events.get_nowait()
        except queue.Empty:
            return

    def _check(self) -> None:
        if self._error is not None:
            raise self._error
        self._absence.check()

    def _return(self, row_ids: list[str]) -> None:
        for row_id in row_ids:
            with self._changed:
                known = self._rows.pop(row_id, None)
            if known is not None:
                self._events.put(Returned(known[0], row_id))

    def _open(self) -> str:
        try:
            return self._link.open(self._destination)
        except AwayError as error:
            raise ClusterError(f"{self._link.url}: the server is away: {error}") from error
        except RefusedError as error:
            raise ClusterError(f"{self._link.url}: the server refuses this run: {error}") from error

    # In the threads

    def _guarded(self, work: str) -> None:
        try:
            self._give() if work == "give" else self._receive()
        except BaseException as error:  # noqa: BLE001 (`wait` raises it)
            self._error = error

    def _give(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._unsent or self._closed)
                if self._closed:
                    return
                rows = self._next_rows()
            self._give_patiently(rows)

    def _next_rows(self) -> list[ManifestRow]:
        rows: list[ManifestRow] = []
        num_bytes = 0
        while self._unsent and num_bytes < _MOST_BYTES:
            known = self._rows.get(self._unsent.popleft())
            if known is not None:
                rows.append(known[1])
                num_bytes += _num_bytes(known[1])
        return rows

    def _give_patiently(self, rows: list[ManifestRow]) -> None:
        """Give rows, however long the server is away; a row that is too large fails."""
        while not self._closed:
            session = self._session
            try:
                self._link.give(session, rows)
            except AwayError as error:
                self._pause(str(error))
            except UnknownSessionError:
                self._announce_again(session)
                return  # with all rows
            except RefusedError as error:
                if error.status != _TOO_LARGE:
                    raise ClusterError(f"{self._link.url}: {error}") from error
                self._too_large(rows, str(error))
                return
            else:
                return

    def _too_large(self, rows: list[ManifestRow], reason: str) -> None:
        if len(rows) > 1:
            for row in rows:
                self._give_patiently([row])
            return
        failure = Failure("uri_too_large", f"the row with its inline images: {reason}")
        outcome = Outcome(row_id=rows[0].id, failure=failure)
        self._settle(Ended(number=0, attempts=1, outcome=outcome))

    def _receive(self) -> None:
        session, after = self._session, 0
        while not self._closed:
            if session != self._session:
                session, after = self._session, 0
            try:
                wait_s = _POLL_S if self._ready else _LOADING_S
                ended, ready, self._activity = self._link.outcomes(session, after, wait_s)
            except AwayError as error:
                self._pause(str(error))
                continue
            except UnknownSessionError:
                self._announce_again(session)
                continue
            self._absence.end()
            if ready and not self._ready:
                self._ready = True
                for name in self._names:
                    self._events.put(Ready(name, "server"))
            for each in ended:
                after = max(after, each.number)
                self._settle(each)

    def _settle(self, ended: Ended) -> None:
        with self._changed:
            known = self._rows.pop(ended.outcome.row_id, None)
        if known is None:
            return
        worker, row = known
        if ended.outcome.cancelled:  # withdrawn while it waited
            self._events.put(Returned(worker, row.id))
        else:
            self._events.put(Finished(worker, ended.outcome, ended.attempts))

    def _announce_again(self, session: str) -> None:
        """Open a session at a server that was started anew, and give it all rows."""
        with self._reopening:
            if session != self._session or self._closed:
                return
            try:
                fresh = self._link.open(self._destination)
            except AwayError as error:
                self._pause(str(error))
                return
            except RefusedError as error:
                raise ClusterError(
                    f"{self._link.url}: the server was started anew, and refuses this run: {error}"
                ) from error
            with self._changed:
                self._session = fresh
                self._unsent = deque(self._rows)
                self._changed.notify_all()
            logger.warning("server_back url=%s rows=%d", self._link.url, len(self._rows))

    def _pause(self, reason: str) -> None:
        with self._changed:
            if self._closed:
                return
            self._absence.begin(reason)
            self._activity = None
            self._changed.wait_for(lambda: self._closed, _PAUSE_S)


def _num_bytes(row: ManifestRow) -> int:
    images = [row.content_image, *row.style_images]
    return len(row.prompt) + sum(len(image) for image in images if image is not None)
