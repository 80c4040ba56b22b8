"""Rounds one after the other, on one S3 server, one web server and, where wanted, one cluster."""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # read when Ray is imported

from benchmarks.chaos.cluster import Nodes, nodes
from benchmarks.chaos.deck import FaultDeck
from benchmarks.chaos.inputs import write_inputs
from benchmarks.chaos.proxy import FaultProxy
from benchmarks.chaos.report import RoundResult, kills_among
from benchmarks.chaos.rounds import Disturbance, Ground, disturbed_round, undisturbed_run
from tests.pipelines import http_origin
from tests.s3_server import serve_s3

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is disturbed.

    Attributes:
        rounds: at most so many outputs.
        rows: of the manifest.
        faults: at most so many per round.
        seconds: after which no further fault is done and no further round begun.
        seed: of everything that is drawn at random.
        alone_every: one round in so many has no cluster: each of its runs starts a Ray of its own;
            1: all rounds, 0: none.
        kills: after so many of them, in all rounds together, nothing is disturbed any more.
    """

    rounds: int
    rows: int
    faults: int
    seconds: float
    seed: int
    alone_every: int = 4
    kills: float = math.inf

    def is_alone(self, number: int) -> bool:
        """Whether a round has no cluster."""
        return self.alone_every > 0 and number % self.alone_every == 0


class NotCalmError(Exception):
    """Even the undisturbed run is not as it should be."""


def run_rounds(plan: Plan, folder: Path) -> Iterator[RoundResult]:
    """The rounds of a plan; everything lies below `folder`.

    Raises:
        NotCalmError: the undisturbed run, which comes first, went wrong.
    """
    with ExitStack() as stack:
        s3 = stack.enter_context(serve_s3(folder / "s3"))
        origin = stack.enter_context(http_origin.serving())
        behind = urlsplit(s3.endpoint_url)
        assert behind.hostname is not None
        assert behind.port is not None
        proxy = FaultProxy((behind.hostname, behind.port), plan.seed)
        stack.enter_context(proxy.serving())
        inputs = write_inputs(s3, origin, plan.rows, plan.seed)
        ground = Ground(s3, proxy, inputs, folder)
        cluster = stack.enter_context(nodes()) if plan.alone_every != 1 else None
        findings, wrong = undisturbed_run(ground, cluster)
        if wrong:
            raise NotCalmError("\n".join(wrong))
        logger.info("undisturbed run done: %d rows", len(findings.sha256))
        yield from _rounds(plan, ground, findings.sha256, cluster)


def _rounds(
    plan: Plan, ground: Ground, undisturbed: Mapping[str, tuple[str, ...]], cluster: Nodes | None
) -> Iterator[RoundResult]:
    until = time.monotonic() + plan.seconds
    deck = FaultDeck(plan.seed)
    kills = 0
    for number in range(plan.rounds):
        if time.monotonic() >= until or kills >= plan.kills:
            return
        disturbance = Disturbance(
            name=f"round-{number}",
            seed=f"{plan.seed}/{number}",
            deck=deck,
            faults=plan.faults,
            kills=plan.kills - kills,
            until=until,
        )
        nodes_of_round = None if plan.is_alone(number) else cluster
        result = disturbed_round(ground, disturbance, undisturbed, nodes_of_round)
        kills += kills_among(result.faults)
        logger.info("round %d: %s %s", number, dict(result.faults), result.violations)
        yield result
