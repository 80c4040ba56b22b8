"""A receiver of webhooks, which refuses some at first."""

from __future__ import annotations

import json
import random
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_REFUSED = 0.1


class Receiver:
    """Notes the webhooks.

    Attributes:
        accepted: id of a task → the bodies that were answered with 200.
        refused: number of webhooks that were answered with 503.
    """

    def __init__(self, seed: int) -> None:
        self.accepted: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
        self.refused = 0
        self.url = ""
        self._dice = random.Random(seed)
        self._lock = threading.Lock()

    @property
    def told(self) -> set[str]:
        """Ids of the tasks whose end was told."""
        with self._lock:
            return set(self.accepted)

    def take(self, body: bytes) -> int:
        """Note a webhook, and return the status of the answer."""
        told = json.loads(body)
        with self._lock:
            if self._dice.random() < _REFUSED:
                self.refused += 1
                return 503
            self.accepted[told["id"]].append(told)
        return 200


@contextmanager
def receiving(seed: int) -> Iterator[Receiver]:
    """Run a receiver on 127.0.0.1 inside the block."""
    receiver = Receiver(seed)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            status = receiver.take(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (its own name)
            """Stay silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver.url = f"http://127.0.0.1:{server.server_port}/hook"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
