"""One driver per output: an object with a heartbeat, which a second driver watches.

The lease prevents duplicate work and gives clear messages. The ledger stays correct without it, so
it needs neither conditional writes nor synchronised clocks: a second driver only checks that the
heartbeat moves.
"""

from __future__ import annotations

import json
import logging
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import psutil

from pipelines.errors import LeaseHeldError, StorageError
from pipelines.moments import utc_now
from pipelines.storage.storage import Storage

logger = logging.getLogger(__name__)

LEASE_PATH = "run/lease.json"
AT = "at"  # key of a heartbeat's time
_SAME_START_S = 10  # tolerance: start times use the wall clock, which may have been adjusted


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The content of the lease, written by its holder.

    Attributes:
        run_id: id of the driver's run.
        host: host name of the driver.
        machine: identifies the set of processes that `pid` belongs to; containers on one host
            differ in it.
        pid: process id of the driver.
        started: start time of that process, in seconds since the epoch, because pids are reused.
        beat: increases while the driver is alive.
    """

    run_id: str
    host: str
    machine: str
    pid: int
    started: float
    beat: int = 0

    @classmethod
    def of_this_process(cls, run_id: str) -> Heartbeat:
        """Return the first heartbeat of a driver in this process."""
        process = psutil.Process()
        return cls(run_id, socket.gethostname(), _machine(), process.pid, process.create_time())

    @property
    def driver(self) -> Heartbeat:
        """Identity of the driver: the heartbeat without its count."""
        return replace(self, beat=0)

    @property
    def description(self) -> str:
        """Description of the driver for messages."""
        return f"run {self.run_id}, process {self.pid} on {self.host}"

    @property
    def is_here(self) -> bool:
        """True if the driver runs, or ran, on this machine, where its process can be looked up."""
        return self.machine == _machine()

    @property
    def is_dead(self) -> bool:
        """True if the driver ran on this machine and its process has ended."""
        if not self.is_here:
            return False
        try:
            process = psutil.Process(self.pid)
            another = abs(process.create_time() - self.started) > _SAME_START_S
            return another or process.status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True


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
        if holder is not None and not holder.is_dead:
            self._watch(holder)
        self._beat()
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

    def _watch(self, holder: Heartbeat) -> None:
        # A warning, because a run that waits here shows nothing else.
        logger.warning("lease_watched holder=%r for_s=%g", holder.description, self._stale_s)
        give_up_at = self._clock() + self._stale_s
        while self._clock() < give_up_at:
            self._sleep(min(1, self._heartbeat_s / 2))
            now = read_holder(self._storage)
            if now is None:
                return
            if now != holder:
                raise LeaseHeldError(self._storage.uri(LEASE_PATH), now.description)

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
        self._mine = replace(self._mine, beat=self._mine.beat + 1)
        content = asdict(self._mine) | {AT: utc_now()}  # for people and `uso status` alone
        self._storage.write(LEASE_PATH, json.dumps(content, indent=1).encode())


def read_holder(storage: Storage) -> Heartbeat | None:
    """Read the last heartbeat of the driver that holds an output's lease; None if it is free.

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
        fields_read = json.loads(content)
        return Heartbeat(**{f.name: fields_read[f.name] for f in fields(Heartbeat)})
    except (ValueError, TypeError, KeyError):
        logger.warning("lease_unreadable uri=%s", storage.uri(LEASE_PATH))
        return None


def _machine() -> str:
    """Return a name for the set of processes in which a pid is unique."""
    boot_id = Path("/proc/sys/kernel/random/boot_id")
    if not boot_id.exists():
        return socket.gethostname()
    # A container has its own pids, possibly under its host's name.
    return f"{boot_id.read_text().strip()}/{Path('/proc/self/ns/pid').readlink()}"
