"""Overhead of a request: CPU of the server and latency, all contenders in turn."""

from __future__ import annotations

import asyncio
import statistics
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from benchmarks.serve.clients import Client, client_of, times_of
from benchmarks.serve.contenders import Contender, Cpu

_AT_ONCE = (1, 16)
_LOOK_S = 0.05
SUBMIT_AND_RESULT = "uso serve: submit + result"
IN_ONE_REQUEST = "uso serve: a request that waits"
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
    def rays_ms(self) -> float:
        """CPU of Ray's own processes a request."""
        return 1e3 * self.cpu.rays_s / len(self.seconds)


Rounds = dict[tuple[str, int], list[Round]]


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
                for name, way in _ways(contender):
                    for at_once in _AT_ONCE:
                        before = contender.cpu()
                        seconds = await way(client, requests, at_once)
                        took = Round(seconds, contender.cpu() - before)
                        if number > 0:
                            measured[name, at_once].append(took)
    return measured


def table(measured: Rounds, bare: str) -> str:
    """Return the table of docs/benchmarks.md; ratios are medians over the rounds."""
    lines = [
        "| | at once | latency p50, ms | CPU of the server, ms | with Ray's processes, ms "
        "| latency to bare | CPU to bare |",
        "|---|---|---|---|---|---|---|",
    ]
    for (name, at_once), rounds in measured.items():
        beside = measured[bare, at_once]
        pairs = list(zip(rounds, beside, strict=True))
        latency = statistics.median(ours.p50_ms / theirs.p50_ms for ours, theirs in pairs)
        cpu = statistics.median(ours.server_ms / theirs.server_ms for ours, theirs in pairs)
        p50 = statistics.median(each.p50_ms for each in rounds)
        server = statistics.median(each.server_ms for each in rounds)
        both = statistics.median(each.server_ms + each.rays_ms for each in rounds)
        cells = (name, f"{at_once}", f"{p50:.2f}", f"{server:.2f}", f"{both:.2f}")
        lines.append(f"| {' | '.join(cells)} | {latency:.2f} | {cpu:.2f} |")
    return "\n".join(lines)


def _ways(contender: Contender) -> list[tuple[str, Way]]:
    if contender.key is None:
        return [(contender.name, _draw)]
    return [(SUBMIT_AND_RESULT, _submit_and_result), (IN_ONE_REQUEST, _in_one_request)]


async def _draw(client: Client, requests: int, at_once: int) -> list[float]:
    return await times_of([client.draw] * requests, at_once)


async def _in_one_request(client: Client, requests: int, at_once: int) -> list[float]:
    return await times_of([client.by_sync] * requests, at_once)


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

    async def result(task_id: str) -> None:
        assert (await client.result(task_id))["status"] == "completed"

    results = await times_of([lambda each=each: result(each) for each in ids], at_once)  # type: ignore[misc]
    return [submit + result for submit, result in zip(submits, results, strict=True)]
