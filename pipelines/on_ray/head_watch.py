"""Sees that the Ray head is gone before Ray does.

Ray ends a driver's process on the spot, without another word, when it has not reached the head for
60 s. To commit what has ended and to say what to do, the driver has to know sooner.
"""

from __future__ import annotations

import logging
import socket
import threading
import time

logger = logging.getLogger(__name__)


def knock(address: str, timeout_s: float) -> None:
    """Connect to a head, and nothing else.

    Args:
        address: `host:port` of the head.
        timeout_s: seconds that it gets to answer.

    Raises:
        OSError: it does not answer.
    """
    host, _, port = address.rpartition(":")
    with socket.create_connection((host.strip("[]"), int(port)), timeout=timeout_s):
        pass


class HeadWatch:
    """Knocks at the head's port from a thread.

    Args:
        address: `host:port` of the head.
        patience_s: seconds without an answer after which the head counts as lost: more than a head
            that keeps its state elsewhere takes to come back, and less than Ray's 60 s.
        every_s: seconds between two knocks.
    """

    def __init__(self, address: str, *, patience_s: float = 30, every_s: float = 3) -> None:
        self._address = address
        self._patience_s = patience_s
        self._every_s = every_s
        self._heard = False  # a head that never answers cannot be reached from here by design
        self._silent_since: float | None = None  # a driver that was suspended saw no silence
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="head-watch", daemon=True)
        self._thread.start()

    @property
    def lost(self) -> bool:
        """Whether the head has answered before, and not any more for too long."""
        since = self._silent_since
        return since is not None and time.monotonic() - since > self._patience_s

    def close(self) -> None:
        """Stop watching."""
        self._closed.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._closed.wait(self._every_s):
            self._knock()

    def _knock(self) -> None:
        try:
            knock(self._address, self._every_s)
        except OSError as error:
            if self._heard and self._silent_since is None:
                self._silent_since = time.monotonic()
                logger.warning("ray_head_unreachable error=%s", error)
        else:
            self._heard = True
            self._silent_since = None
