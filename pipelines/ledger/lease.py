"""One driver per output: an object with a heartbeat that a second driver sees.

The lease saves work and keeps messages clear; the ledger stays correct without it, so it needs no
conditional writes and nobody's clock: a second driver only watches whether the heartbeat moves.
"""

from __future__ import annotations

import json
import logging
import socket
import threading
import time
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from types import TracebackType

import psutil

from pipelines.errors import LeaseHeldError, StorageError
from pipelines.storage.storage import Storage

logger = logging.getLogger(__name__)

LEASE_PATH = "run/lease.json"
_SAME_START_S = 10  # a process's start is known by the wall clock, which may have been set since


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """What a driver says of itself.

    Attributes:
        run_id: of its run.
        host: where it runs.
        machine: among whose processes `pid` is one; containers on one host differ in it.
        pid: its process there.
        started: when that process started, in seconds since the epoch; a pid may be used again.
        beat: counts up while the driver lives.
    """

    run_id: str
    host: str
    machine: str
    pid: int
    started: float
    beat: int = 0

    @classmethod
    def of_this_process(cls, run_id: str) -> Heartbeat:
        """The first heartbeat of a driver in this process."""
        process = psutil.Process()
        return cls(run_id, socket.gethostname(), _machine(), process.pid, process.create_time())

    @property
    def driver(self) -> Heartbeat:
        """Which driver this is, whatever the beat."""
        return replace(self, beat=0)

    @property
    def words(self) -> str:
        """Who it is, for a message."""
        return f"run {self.run_id}, process {self.pid} on {self.host}"

    @property
    def is_dead(self) -> bool:
        """True where this process can tell that the driver has ended: it ran on this machine."""
        if self.machine != _machine():
            return False
        try:
            process = psutil.Process(self.pid)
            another = abs(process.create_time() - self.started) > _SAME_START_S
            return another or process.status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True


class Lease:
    """Held while inside; refreshed by a thread.

    Args:
        storage: the output folder.
        run_id: of the run that wants it.
        heartbeat_s: seconds between two heartbeats.
        stale_s: seconds without one after which another driver counts as dead.

    Attributes:
        lost: another driver has taken the lease over: stop committing.
    """

    def __init__(
        self, storage: Storage, run_id: str, *, heartbeat_s: float = 10, stale_s: float = 30
    ) -> None:
        self._storage = storage
        self._mine = Heartbeat.of_this_process(run_id)
        self._heartbeat_s = heartbeat_s
        self._stale_s = stale_s
        self._ended = threading.Event()
        self._lost = threading.Event()
        self._thread = threading.Thread(target=self._refresh, name="lease", daemon=True)

    @property
    def lost(self) -> bool:
        """Whether another driver has taken the lease over."""
        return self._lost.is_set()

    def __enter__(self) -> Lease:
        """Take the lease, waiting up to `stale_s` to see whether its holder is alive.

        Raises:
            LeaseHeldError: it is.
            StorageError: the lease cannot be read or written.
        """
        holder = read_holder(self._storage)
        if holder is not None and not holder.is_dead:
            self._watch(holder)
        self._beat()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give the lease back, if it can be; one that is left behind goes stale."""
        self._ended.set()
        self._thread.join(timeout=self._heartbeat_s)
        if self._thread.is_alive():
            logger.warning("lease_left_behind error='the last heartbeat is still under way'")
            return
        try:
            holder = read_holder(self._storage)
            if holder is not None and holder.driver == self._mine.driver:
                self._storage.delete(LEASE_PATH)
        except StorageError as fault:
            logger.warning("lease_left_behind error=%s", fault)

    def _watch(self, holder: Heartbeat) -> None:
        # A warning, because nothing else is seen of a run that waits here.
        logger.warning("lease_watched holder=%r for_s=%g", holder.words, self._stale_s)
        give_up_at = time.monotonic() + self._stale_s
        while time.monotonic() < give_up_at:
            time.sleep(min(1, self._heartbeat_s / 2))
            now = read_holder(self._storage)
            if now is None:
                return
            if now != holder:
                raise LeaseHeldError(self._storage.uri(LEASE_PATH), now.words)

    def _refresh(self) -> None:
        while not self._ended.wait(self._heartbeat_s) and not self.lost:
            self._refresh_once()

    def _refresh_once(self) -> None:
        try:
            holder = read_holder(self._storage)
            if holder is None or holder.driver == self._mine.driver:
                self._beat()
            else:
                logger.error("lease_lost to=%r", holder.words)
                self._lost.set()
        except StorageError as fault:
            # Committing meets the same fault; should another driver take over meanwhile, the next
            # heartbeat that gets through sees it.
            logger.warning("heartbeat_failed error=%s", fault)

    def _beat(self) -> None:
        self._mine = replace(self._mine, beat=self._mine.beat + 1)
        self._storage.write(LEASE_PATH, json.dumps(asdict(self._mine), indent=1).encode())


def read_holder(storage: Storage) -> Heartbeat | None:
    """The last heartbeat of the driver that holds an output's lease; None where it is free.

    Raises:
        StorageError: the lease cannot be read.
    """
    try:
        content = storage.read(LEASE_PATH)
    except StorageError as fault:
        if fault.fault == "not_found":
            return None
        raise
    try:
        said = json.loads(content)
        return Heartbeat(**{f.name: said[f.name] for f in fields(Heartbeat)})
    except (ValueError, TypeError, KeyError):
        logger.warning("lease_unreadable uri=%s", storage.uri(LEASE_PATH))
        return None


def _machine() -> str:
    """Names the set of processes among which a pid means one process."""
    boot_id = Path("/proc/sys/kernel/random/boot_id")
    if not boot_id.exists():
        return socket.gethostname()
    # A container has pids of its own, maybe under its host's name.
    return f"{boot_id.read_text().strip()}/{Path('/proc/self/ns/pid').readlink()}"
