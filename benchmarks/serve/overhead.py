"""Overhead of a request: CPU of the server and latency, all contenders in turn."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from benchmarks.serve.clients import Client, client_of, times_of
from benchmarks.serve.contenders import Contender, Cpu

_AT_ONCE = (1, 16)
_LOOK_S = 0.05
_SUBMIT_AND_RESULT = "submit + result"
_IN_ONE_REQUEST = "a request that waits"
Way = Callable[[Client, int, int], Awaitable[list[float]]]


@dataclass(frozen=True)
class Round:
    """The figures of one way in one round.

    Attributes:
        seconds: latency of each request; submit and result together.
        cpu: CPU of all requests.
    """

    seconds: Sequence[float]
    cpu: Cpu

    @property
    def p50_ms(self) -> float:
        """Median latency."""
        return 1e3 * statistics.median(self.seconds)

    @property
    def server_ms(self) -> float:
        """CPU of the server a request."""
        return 1e3 * self.cpu.server_s / len(self.seconds)

    @property
    def all_ms(self) -> float:
        """CPU of the server and of Ray's own processes a request."""
        return 1e3 * (self.cpu.server_s + self.cpu.rays_s) / len(self.seconds)


Rounds = dict[tuple[str, str, int], list[Round]]
"""Rounds by contender, way and number of requests at once."""


async def measure(contenders: Sequence[Contender], rounds: int, requests: int) -> Rounds:
    """Measure every way of every contender, in turn, `rounds` times after one that is not counted.

    Args:
        contenders: servers whose models answer at once.
        rounds: rounds that count.
        requests: requests of a way in a round.
    """
    measured: Rounds = defaultdict(list)
    for number in range(rounds + 1):
        for contender in contenders:
            async with client_of(contender) as client:
                for name, way in _WAYS.items():
                    for at_once in _AT_ONCE:
                        before = contender.cpu()
                        seconds = await way(client, requests, at_once)
                        took = Round(seconds, contender.cpu() - before)
                        if number > 0:
                            measured[contender.name, name, at_once].append(took)
    return measured


def table(measured: Rounds, bare: str, rival: str | None) -> str:
    """Return the table of docs/benchmarks.md; ratios are medians over the rounds.

    Args:
        measured: the rounds.
        bare: name of the contender whose request that waits is the unit.
        rival: name of the contender that is compared way by way; None: there is none.
    """
    lines = [
        "| | | at once | latency p50, ms | CPU of the server, ms | with Ray's processes, ms "
        "| latency to bare | CPU to bare | Ray Serve's latency to it |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for (name, way, at_once), rounds in measured.items():
        unit = measured[bare, _IN_ONE_REQUEST, at_once]
        cells = [name, way, f"{at_once}"]
        cells += [
            f"{statistics.median(getattr(each, figure) for each in rounds):.2f}"
            for figure in ("p50_ms", "server_ms", "all_ms")
        ]
        cells += [_ratio(rounds, unit, "p50_ms"), _ratio(rounds, unit, "server_ms")]
        theirs = measured.get((rival or "", way, at_once))
        cells.append("" if theirs is None else _ratio(theirs, rounds, "p50_ms"))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _ratio(rounds: Sequence[Round], unit: Sequence[Round], figure: str) -> str:
    pairs = zip(rounds, unit, strict=True)
    ratio = statistics.median(getattr(a, figure) / getattr(b, figure) for a, b in pairs)
    return f"{ratio:.2f}"


async def _in_one_request(client: Client, requests: int, at_once: int) -> list[float]:
    return await times_of([client.in_one_request] * requests, at_once)


async def _submit_and_result(client: Client, requests: int, at_once: int) -> list[float]:
    """Submit all, wait until the last has ended, and get all results."""
    ids: list[str] = []

    async def submit() -> None:
        ids.append(await client.submit())

    submits = await times_of([submit] * requests, at_once)
    for task_id in reversed(ids):  # nearly always one question
        while (await client.result(task_id))["status"] != "completed":
            await asyncio.sleep(_LOOK_S)
        if task_id == ids[-1]:
            await asyncio.sleep(_LOOK_S)
            break

    results: list[float] = []

    async def result(task_id: str) -> None:
        """Time the request that finds the task's end; nearly always the first one."""
        while True:
            began = time.perf_counter()
            status = (await client.result(task_id))["status"]
            took = time.perf_counter() - began
            if status == "completed":
                break
            await asyncio.sleep(_LOOK_S)  # the tasks did not end in the order of their ids
        results.append(took)

    await times_of([lambda each=each: result(each) for each in ids], at_once)  # type: ignore[misc]
    return [submit + result for submit, result in zip(submits, results, strict=True)]


_WAYS: dict[str, Way] = {_IN_ONE_REQUEST: _in_one_request, _SUBMIT_AND_RESULT: _submit_and_result}
