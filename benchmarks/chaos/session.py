"""Consecutive rounds on one store, one web server and, if needed, one cluster."""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # read when Ray is imported

from benchmarks.chaos.cluster import Nodes, nodes
from benchmarks.chaos.deck import FaultDeck
from benchmarks.chaos.inputs import write_inputs
from benchmarks.chaos.proxy import FaultProxy
from benchmarks.chaos.report import RoundResult, kills_among
from benchmarks.chaos.rounds import Disturbance, Setup, disturbed_round, undisturbed_run
from benchmarks.chaos.stores import Scheme, serve_store
from tests.pipelines import http_origin

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Plan:
    """The amount of disturbance.

    Attributes:
        rounds: maximum number of outputs.
        rows: rows of the manifest.
        faults: maximum number of faults per round.
        seconds: time after which no fault and no round starts.
        seed: seed of all random choices.
        alone_every: every Nth round has no cluster, and each of its runs starts its own Ray;
            1: all rounds, 0: none.
        kills: number of kills, over all rounds, after which the disturbance ends.
        store: the store of the outputs.
        compare: True for an undisturbed run first, whose images the others must equal.
    """

    rounds: int
    rows: int
    faults: int
    seconds: float
    seed: int
    alone_every: int = 4
    kills: float = math.inf
    store: Scheme = "s3"
    compare: bool = True

    def is_alone(self, number: int) -> bool:
        """Return True if a round has no cluster."""
        return self.alone_every > 0 and number % self.alone_every == 0


class BaselineError(Exception):
    """Even the undisturbed run violates the guarantees."""


def run_rounds(plan: Plan, folder: Path) -> Iterator[RoundResult]:
    """Run the rounds of a plan; all files are below `folder`.

    Raises:
        BaselineError: the undisturbed run, which comes first, failed.
    """
    with ExitStack() as stack:
        store = stack.enter_context(serve_store(plan.store, folder))
        origin = stack.enter_context(http_origin.serving())
        proxy = FaultProxy(store.address, plan.seed)
        stack.enter_context(proxy.serving())
        inputs = write_inputs(store, origin, plan.rows, plan.seed)
        setup = Setup(store, proxy, inputs, folder)
        cluster = stack.enter_context(nodes()) if plan.alone_every != 1 else None
        sha256: Mapping[str, tuple[str, ...]] = {}
        if plan.compare:
            findings, wrong = undisturbed_run(setup, cluster)
            if wrong:
                raise BaselineError("\n".join(wrong))
            sha256 = findings.sha256
            logger.info("undisturbed run done: %d rows", len(sha256))
        yield from _rounds(plan, setup, sha256, cluster)


def _rounds(
    plan: Plan, setup: Setup, undisturbed: Mapping[str, tuple[str, ...]], cluster: Nodes | None
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
        result = disturbed_round(setup, disturbance, undisturbed, nodes_of_round)
        kills += kills_among(result.faults)
        logger.info("round %d: %s %s", number, dict(result.faults), result.violations)
        yield result
