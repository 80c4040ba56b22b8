"""A soak: minutes at a constant share of the pool's capacity, with the memory of the server."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import numpy as np
import psutil

from benchmarks.serve.clients import FAULTS, Client, client_of
from benchmarks.serve.contenders import Contender
from benchmarks.serve.goodput import percentiles

_SAMPLE_S = 5.0
_LINE_S = 30.0
_WARM_UP = 0.2  # share of the time whose samples do not count
_LAG_S = 1.0


@dataclass(frozen=True)
class Sample:
    """The server at one moment."""

    at_s: float
    rss_mb: float
    threads: int
    files: int


@dataclass
class Soak:
    """The course of a soak.

    Attributes:
        latencies: seconds from submit to the image's bytes.
        failures: texts of errors, with their counts.
        late: tasks that were submitted late because this process was busy.
    """

    samples: list[Sample] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)
    failures: Counter[str] = field(default_factory=Counter)
    started: int = 0
    late: int = 0


async def soak(contender: Contender, *, minutes: float, per_s: float) -> Soak:
    """Submit at random moments, `per_s` a second on average, and watch the server.

    Clients do not wait for each other: a server that falls behind gets a longer queue. A third of
    them waits in one request, a third reads the stream, and a third asks every second. Each reads
    the bytes of its image.
    """
    course, rng = Soak(), random.Random(0)
    began = time.monotonic()
    until, due = began + 60 * minutes, began
    watching = asyncio.create_task(_watch(contender, course, began))
    tasks: set[asyncio.Task[None]] = set()
    async with client_of(contender) as client:
        ways = (client.by_sync, client.by_stream, client.by_polls)
        while (due := due + rng.expovariate(per_s)) < until:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            course.late += time.monotonic() - due > _LAG_S
            task = asyncio.create_task(_one(client, ways[course.started % 3], course))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            course.started += 1
        if tasks:
            await asyncio.wait(tasks)
    watching.cancel()
    return course


def summary(course: Soak) -> str:
    """Return the verdict's figures, a line each."""
    slope, error = slope_of(course.samples)
    median, high = percentiles(course.latencies)
    counted = _counted(course.samples)
    lines = [
        f"tasks {course.started:,}, images {len(course.latencies):,}, "
        f"failures {sum(course.failures.values()):,}, submitted late {course.late:,}",
        f"from submit to the image's bytes: median {median:.2f} s, p95 {high:.2f} s",
        f"RSS {counted[0].rss_mb:.1f} MB after the warm-up, {counted[-1].rss_mb:.1f} MB at the end",
        f"slope {slope:+.2f} ± {2 * error:.2f} MB an hour (two standard errors)",
        f"threads {counted[0].threads} and {counted[-1].threads}, "
        f"open files {counted[0].files} and {counted[-1].files}",
    ]
    lines += [f"failed {count:,} times: {text}" for text, count in course.failures.most_common(5)]
    return "\n".join(lines)


def slope_of(samples: list[Sample]) -> tuple[float, float]:
    """Return the slope of RSS after the warm-up and its standard error, in MB an hour.

    Neighbouring samples resemble each other, so the error counts as many samples as there are
    independent ones: it takes the correlation of neighbours into account.
    """
    counted = _counted(samples)
    hours = np.array([sample.at_s / 3600 for sample in counted])
    rss = np.array([sample.rss_mb for sample in counted])
    slope, start = np.polyfit(hours, rss, 1)
    rest = rss - (slope * hours + start)
    spread = float(np.sum(rest**2))
    if spread == 0:
        return float(slope), 0.0
    alike = min(0.95, max(0.0, float(np.sum(rest[1:] * rest[:-1])) / spread))
    independent = max(3.0, len(rss) * (1 - alike) / (1 + alike))
    variance = spread / len(rss) * independent / (independent - 2)
    width = float(np.std(hours))
    return float(slope), float(np.sqrt(variance / independent) / width)


def _counted(samples: list[Sample]) -> list[Sample]:
    from_s = samples[-1].at_s * _WARM_UP
    return [sample for sample in samples if sample.at_s >= from_s]


async def _one(client: Client, way: Callable[[], Awaitable[str]], course: Soak) -> None:
    began = time.monotonic()
    try:
        await client.fetch(await way())
    except FAULTS as error:
        course.failures[f"{type(error).__name__}: {error}"[:200]] += 1
    else:
        course.latencies.append(time.monotonic() - began)


async def _watch(contender: Contender, course: Soak, began: float) -> None:
    server = psutil.Process(contender.process.pid)
    print(
        "| minute | RSS, MB | threads | open files | images | failures |\n|---|---|---|---|---|---|"
    )
    next_line_s = 0.0
    while True:
        at_s = time.monotonic() - began
        rss_mb = server.memory_info().rss / 1e6
        sample = Sample(at_s, rss_mb, server.num_threads(), server.num_fds())
        course.samples.append(sample)
        if at_s >= next_line_s:
            next_line_s += _LINE_S
            failures = sum(course.failures.values())
            cells = [f"{at_s / 60:.1f}", f"{rss_mb:.1f}", sample.threads, sample.files]
            cells += [len(course.latencies), failures]
            print(f"| {' | '.join(map(str, cells))} |", flush=True)
        await asyncio.sleep(_SAMPLE_S)
