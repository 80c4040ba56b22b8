"""A client that submits tasks throughout, also while the server is away."""

from __future__ import annotations

import random
import threading
import time
from typing import Any

import httpx2

from benchmarks.chaos.served import Served

SEEDS = 5
"""Tasks have one of this many seeds, and tasks with the same seed must get the same pixels."""
_CANCELLED = 0.1
_PAUSE_S = 0.05


class Client(threading.Thread):
    """Submits each task until it is accepted, always with the same Idempotency-Key.

    Attributes:
        accepted: id → seed of each task that the server has accepted.
        cancels: ids of the tasks whose cancel was answered.
        refused: number of answers that were not 200, and of requests without an answer.
    """

    def __init__(self, served: Served, webhook: str, tasks: int, seed: int) -> None:
        super().__init__(daemon=True)
        self.accepted: dict[str, int] = {}
        self.cancels: set[str] = set()
        self.refused = 0
        self._served = served
        self._webhook = webhook
        self._tasks = tasks
        self._allowed = 0
        self._dice = random.Random(seed)
        self._http = httpx2.Client(timeout=15)
        self._closing = threading.Event()

    @property
    def count(self) -> int:
        """Number of tasks that were accepted."""
        return len(self.accepted)

    @property
    def ids(self) -> set[str]:
        """Their ids."""
        return set(self.accepted)

    @property
    def waits(self) -> bool:
        """True once all tasks were accepted that it may submit."""
        return self.count >= self._allowed

    def allow(self, tasks: int) -> None:
        """Let it submit up to this many tasks in all."""
        self._allowed = tasks

    def run(self) -> None:
        """Submit."""
        for number in range(self._tasks):
            while number >= self._allowed and not self._closing.is_set():
                time.sleep(_PAUSE_S)
            task_id = self._submit(number)
            if task_id is None:
                return
            self.accepted[task_id] = number % SEEDS
            if self._dice.random() < _CANCELLED and self._post(f"/tasks/{task_id}/cancel", {}):
                self.cancels.add(task_id)

    def close(self) -> None:
        """End it."""
        self._closing.set()
        self.join()
        self._http.close()

    def _submit(self, number: int) -> str | None:
        given = {"prompt": "a cat", "seed": number % SEEDS, "width": 64, "height": 64}
        body = {"app": "infsh/bytedance-uso", "input": given, "webhook": self._webhook}
        headers = {"Idempotency-Key": f"task-{number}"}
        while not self._closing.is_set():
            answer = self._post("/apps/run", body, headers)
            if answer is not None:
                task_id: str = answer["data"]["id"]
                return task_id
            time.sleep(_PAUSE_S)
        return None

    def _post(
        self, path: str, body: dict[str, Any], headers: dict[str, str] | None = None
    ) -> dict[str, Any] | None:
        """Send a request, and return the answer if it is 200."""
        try:
            answer = self._http.post(
                self._served.url + path,
                json=body,
                headers={**self._served.headers, **(headers or {})},
            )
        except httpx2.HTTPError:
            self.refused += 1
            return None
        if answer.status_code != 200:
            self.refused += 1
            return None
        result: dict[str, Any] = answer.json()
        return result
