"""Goodput of the pool while clients wait, and the way of a task from submit to visible result."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from itertools import cycle, islice
from pathlib import Path

from benchmarks.serve.clients import client_of
from benchmarks.serve.contenders import Contender

_WARM_UP_S = 2.0


async def goodput(contender: Contender, *, clients: int, seconds: float, actors: int) -> float:
    """Return the share of the actors' time that is work while `clients` wait for images.

    Each client asks for an image, waits, and asks again: one third by a request that waits, one
    third reads the stream, one third asks every second.
    """
    began = time.time() + _WARM_UP_S
    until = began + seconds
    async with client_of(contender) as client:
        kinds: list[Callable[[], Awaitable[object]]]
        kinds = [client.by_sync, client.by_stream, client.by_polls]
        ways = islice(cycle(kinds), clients)

        async def again_and_again(way: Callable[[], Awaitable[object]]) -> None:
            while time.time() < until:
                await way()

        await asyncio.gather(*map(again_and_again, ways))
    busy = sum(_overlap(span, (began, until)) for span in spans_in(contender.folder / "model"))
    return busy / (actors * seconds)


async def latency(contender: Contender, images: int) -> dict[str, Sequence[float]]:
    """Return the seconds from submit to visible result, by way, one image at a time."""
    found: dict[str, list[float]] = {}
    async with client_of(contender) as client:
        ways = {"one request": client.by_sync, "stream": client.by_stream}
        for _ in range(images):
            for name, way in ways.items():
                began = time.perf_counter()
                await way()
                found.setdefault(name, []).append(time.perf_counter() - began)
    return {name: sorted(times) for name, times in found.items()}


def spans_in(folder: Path) -> list[tuple[float, float]]:
    """Return the spans of work that workers have noted."""
    lines = [line for path in folder.iterdir() for line in path.read_text().splitlines()]
    return [(float(start), float(end)) for start, end in map(str.split, lines)]


def _overlap(span: tuple[float, float], window: tuple[float, float]) -> float:
    return max(0.0, min(span[1], window[1]) - max(span[0], window[0]))


def percentiles(times: Sequence[float]) -> tuple[float, float]:
    """Return the median and the 95th of a hundred."""
    return statistics.median(times), statistics.quantiles(times, n=20)[-1]
