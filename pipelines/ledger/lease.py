"""One driver per output: an object with a heartbeat, which a second driver watches.

The lease prevents duplicate work and gives clear messages. The ledger stays correct without it, so
it needs neither conditional writes nor synchronised clocks: a second driver only checks that the
heartbeat moves. A driver whose lease was taken may still be alive; `pipelines.ledger.fence` keeps
it from committing.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, replace

from pipelines.errors import LeaseHeldError, StorageError
from pipelines.ledger.heartbeat import AT, LEASE_PATH, Heartbeat, read_holder
from pipelines.moments import utc_now
from pipelines.storage.storage import Storage

__all__ = ["AT", "LEASE_PATH", "Heartbeat", "Lease", "read_holder"]

logger = logging.getLogger(__name__)


class Lease:
    """The lease on an output, held inside a `with` block and refreshed by a thread.

    Args:
        storage: the output folder.
        run_id: id of the run that wants it.
        heartbeat_s: seconds between two heartbeats.
        stale_s: seconds without a heartbeat after which another driver is considered dead.
        clock: seconds, monotonic.
        sleep: waits the given number of seconds.
    """

    def __init__(
        self,
        storage: Storage,
        run_id: str,
        *,
        heartbeat_s: float = 10,
        stale_s: float = 30,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._storage = storage
        self._mine = Heartbeat.of_this_process(run_id)
        self._heartbeat_s = heartbeat_s
        self._stale_s = stale_s
        self._clock = clock
        self._sleep = sleep
        self._ended = threading.Event()
        self._lost = threading.Event()
        self._is_taken = False
        self._taken_from: str | None = None
        self._thread = threading.Thread(target=self._keep_refreshing, name="lease", daemon=True)

    @property
    def lost(self) -> bool:
        """True if the lease is gone or another driver's: stop committing.

        A driver that was suspended past `stale_s` finds it so. The lease may even be free again, if
        the other driver has ended meanwhile: only `__enter__` takes a free lease.
        """
        return self._lost.is_set()

    @property
    def is_taken(self) -> bool:
        """True if the lease was lost to another driver; False if it was found gone."""
        return self._is_taken

    @property
    def taken_from(self) -> str | None:
        """The run whose lease was taken because its heartbeat stood still; it may still be alive.

        None: the lease was free, or the process of its holder has ended.
        """
        return self._taken_from

    def confirm(self) -> bool:
        """Read the lease; return True if this driver still holds it.

        Call it before each change that another driver must not see undone.

        Raises:
            StorageError: the lease cannot be read.
        """
        if not self.lost:
            self._check(read_holder(self._storage))
        return not self.lost

    def __enter__(self) -> Lease:
        """Take the lease, after watching its holder for up to `stale_s` for a heartbeat.

        Raises:
            LeaseHeldError: the holder is alive.
            StorageError: the lease cannot be read or written.
        """
        holder = read_holder(self._storage)
        if holder is not None or not self._storage.create(LEASE_PATH, self._next_beat()):
            # In the second case, another driver has just taken the lease, or nobody can read it.
            self._take_over(holder or read_holder(self._storage))
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        """Give the lease back if possible; a lease that is left behind goes stale."""
        self._ended.set()
        self._thread.join(timeout=self._heartbeat_s)
        if self._thread.is_alive():
            logger.warning("lease_left_behind error='the last heartbeat is still in progress'")
            return
        try:
            holder = read_holder(self._storage)
            if holder is not None and holder.driver == self._mine.driver:
                self._storage.delete(LEASE_PATH)
        except StorageError as fault:
            logger.warning("lease_left_behind error=%s", fault)

    def _take_over(self, holder: Heartbeat | None) -> None:
        if holder is not None and not holder.is_dead and self._stands_still(holder):
            self._taken_from = holder.run_id
        self._beat()

    def _stands_still(self, holder: Heartbeat) -> bool:
        """Watch the holder; return False if it gives the lease back.

        Raises:
            LeaseHeldError: its heart beats.
        """
        # A warning, because a run that waits here shows nothing else.
        logger.warning("lease_watched holder=%r for_s=%g", holder.description, self._stale_s)
        give_up_at = self._clock() + self._stale_s
        while self._clock() < give_up_at:
            self._sleep(min(1, self._heartbeat_s / 2))
            now = read_holder(self._storage)
            if now is None:
                return False
            if now != holder:
                raise LeaseHeldError(self._storage.uri(LEASE_PATH), now.description)
        return True

    def refresh(self) -> None:
        """Write the next heartbeat, if this driver still holds the lease.

        The thread of the lease calls this every `heartbeat_s`.
        """
        try:
            if self.confirm():
                self._beat()
        except StorageError as fault:
            # Commits meet the same fault. If another driver takes over in the meantime, the next
            # heartbeat that gets through notices.
            logger.warning("heartbeat_failed error=%s", fault)

    def _check(self, holder: Heartbeat | None) -> None:
        if holder is None or holder.driver != self._mine.driver:
            to = "nobody: the lease is gone" if holder is None else holder.description
            logger.error("lease_lost to=%r", to)
            self._is_taken = holder is not None
            self._lost.set()

    def _keep_refreshing(self) -> None:
        while not self._ended.wait(self._heartbeat_s) and not self.lost:
            self.refresh()

    def _beat(self) -> None:
        self._storage.write(LEASE_PATH, self._next_beat())

    def _next_beat(self) -> bytes:
        self._mine = replace(self._mine, beat=self._mine.beat + 1)
        content = asdict(self._mine) | {AT: utc_now()}  # for people and `uso status` alone
        return json.dumps(content, indent=1).encode()
