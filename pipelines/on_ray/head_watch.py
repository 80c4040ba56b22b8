"""Detect a lost Ray head before Ray does.

Ray ends a driver's process without a word once the head has been out of reach for 60 s. The driver
must know sooner, to commit finished rows and to tell the user the remedy.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable

logger = logging.getLogger(__name__)


def knock(address: str, timeout_s: float) -> None:
    """Connect to a head and hang up.

    Args:
        address: `host:port` of the head.
        timeout_s: seconds to wait for an answer.

    Raises:
        OSError: the head does not answer, or no host can have this name.
    """
    host, _, port = address.rpartition(":")
    try:
        host.encode("idna")
    except UnicodeError as error:
        raise OSError(f"no host can have this name ({error})") from error
    with socket.create_connection((host.strip("[]"), int(port)), timeout=timeout_s):
        pass


class HeadState:
    """Answers and silences of a head, as a clock sees them.

    A head that has never answered is out of reach by design (behind a proxy, say), and is not
    missed. Silence starts with a failed knock, so a driver that was suspended reports none.
    """

    def __init__(self, patience_s: float, clock: Callable[[], float]) -> None:
        self._patience_s = patience_s
        self._clock = clock
        self._has_answered = False
        self._silent_since: float | None = None

    @property
    def lost(self) -> bool:
        """True if the head has answered before and has been silent for more than `patience_s`."""
        since = self._silent_since
        return since is not None and self._clock() - since > self._patience_s

    def answered(self) -> None:
        """Note an answer."""
        self._has_answered = True
        self._silent_since = None

    def failed(self, error: OSError) -> None:
        """Note a knock without an answer."""
        if self._has_answered and self._silent_since is None:
            self._silent_since = self._clock()
            logger.warning("ray_head_unreachable error=%s", error)


class HeadWatch:
    """Knock at the head's port from a thread.

    Args:
        address: `host:port` of the head.
        patience_s: seconds of silence after which the head counts as lost: more than a head that
            keeps its state elsewhere takes to return, and less than Ray's 60 s.
        every_s: seconds between two knocks.
        clock: in seconds.
    """

    def __init__(
        self,
        address: str,
        *,
        patience_s: float = 30,
        every_s: float = 3,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._address = address
        self._every_s = every_s
        self._state = HeadState(patience_s, clock)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="head-watch", daemon=True)
        self._thread.start()

    @property
    def lost(self) -> bool:
        """True if the head has answered before and has been silent for too long."""
        return self._state.lost

    def close(self) -> None:
        """Stop the thread."""
        self._closed.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._closed.wait(self._every_s):
            self._knock()

    def _knock(self) -> None:
        try:
            knock(self._address, self._every_s)
        except OSError as error:
            self._state.failed(error)
        else:
            self._state.answered()
