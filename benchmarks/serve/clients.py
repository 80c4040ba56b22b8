"""Clients of the contenders, on one event loop: every way to get a result."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from benchmarks.serve.contenders import Contender

_WAVESPEED = {"prompt": "a cat", "reference_images": ["https://example.com/style.png"]}
_INFERENCESH = {"app": "infsh/bytedance-uso", "input": {"prompt": "a cat"}}
_ENDED = frozenset({"completed", "failed", "cancelled"})
_FIRST_NUMBER_OF_AN_END = 10


class FailedError(Exception):
    """A request was refused, or a task failed."""


FAULTS = (FailedError, aiohttp.ClientError, asyncio.TimeoutError)
"""Errors of a request that was not answered as it should be."""


class Client:
    """Asks one contender."""

    def __init__(self, session: aiohttp.ClientSession, contender: Contender) -> None:
        self._session = session
        self._url = contender.url
        self._headers = {"Authorization": f"Bearer {contender.key}"} if contender.key else {}

    async def in_one_request(self) -> None:
        """Get an image by one request that waits: a bare app's own, or inference.sh's."""
        if self._headers:
            await self.by_sync()
        else:
            await self._json("POST", "/draw", {"prompt": "a cat"})

    async def submit(self) -> str:
        """Submit a task as WaveSpeed's clients do, and return its id."""
        answer = await self._json("POST", "/api/v3/bytedance/uso", _WAVESPEED)
        return str(answer["data"]["id"])

    async def result(self, task_id: str) -> dict[str, Any]:
        """Return a task as WaveSpeed's clients see it."""
        answer = await self._json("GET", f"/api/v3/predictions/{task_id}/result")
        return dict(answer["data"])

    async def by_sync(self) -> str:
        """Get an image by one request that waits, and return its URL."""
        answer = await self._json("POST", "/apps/run", {**_INFERENCESH, "wait": True})
        return _image_of(answer["data"])

    async def by_stream(self) -> str:
        """Submit, read the stream of the task to its end, and return the URL of the image."""
        answer = await self._json("POST", "/apps/run", _INFERENCESH)
        url = f"{self._url}/tasks/{answer['data']['id']}/stream"
        async with self._session.get(url, headers=self._headers) as stream:
            last = b""
            async for line in stream.content:
                last = line.strip() or last
        return _image_of(json.loads(last))

    async def by_polls(self, every_s: float = 1.0) -> str:
        """Submit, ask every second as WaveSpeed's clients do, and return the URL of the image."""
        task_id = await self.submit()
        while (task := await self.result(task_id))["status"] not in _ENDED:
            await asyncio.sleep(every_s)
        if task["status"] != "completed":
            raise FailedError(f"{task['status']}: {task['error']}")
        return str(task["outputs"][0])

    async def fetch(self, url: str) -> bytes:
        """Read an image."""
        async with self._session.get(url) as answer:
            if answer.status != 200:
                raise FailedError(f"{url}: HTTP {answer.status}")
            return await answer.read()

    async def _json(self, method: str, path: str, body: Any = None) -> dict[str, Any]:  # noqa: ANN401
        async with self._session.request(
            method, self._url + path, json=body, headers=self._headers
        ) as answer:
            if answer.status != 200:
                raise FailedError(f"{path}: HTTP {answer.status}: {await answer.text()}")
            return dict(await answer.json(content_type=None))


@asynccontextmanager
async def client_of(contender: Contender) -> AsyncIterator[Client]:
    """Yield a client whose connections stay open."""
    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=300)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        yield Client(session, contender)


async def times_of(calls: list[Callable[[], Awaitable[object]]], at_once: int) -> list[float]:
    """Make all calls, `at_once` of them at a time, and return the seconds of each."""
    left = iter(calls)
    times: list[float] = []

    async def one_after_another() -> None:
        for call in left:
            began = time.perf_counter()
            await call()
            times.append(time.perf_counter() - began)

    await asyncio.gather(*(one_after_another() for _ in range(at_once)))
    return times


def _image_of(task: dict[str, Any]) -> str:
    if task["status"] < _FIRST_NUMBER_OF_AN_END or task["output"] is None:
        raise FailedError(f"{task['status_text']}: {task['error']}")
    return str(task["output"]["generated_image"]["uri"])
