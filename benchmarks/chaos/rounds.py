"""One round: a fresh output, drivers on it that are disturbed, a calm run to its end, a check."""

from __future__ import annotations

import logging
import random
import signal
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from benchmarks.chaos.check import Findings, check_output
from benchmarks.chaos.cluster import Nodes
from benchmarks.chaos.deck import FaultDeck
from benchmarks.chaos.faults import FAULTS, StuckError
from benchmarks.chaos.inputs import KEY_VARIABLE, SECRET_VARIABLE, Inputs, configuration
from benchmarks.chaos.proxy import CALM, ROUGH, FaultProxy
from benchmarks.chaos.report import RoundResult, kills_among
from benchmarks.chaos.runs import Run
from benchmarks.chaos.world import World
from tests.integration.harness import write_config
from tests.s3_server import S3Server

logger = logging.getLogger(__name__)

_START_S = 90.0
_CALM_RUN_S = 420.0
_CALM_TRIES = 3
_RUN_FAILED = 1
_EARLY = 0.15  # share of faults that do not wait until an actor is at work
_ENDS = {
    *(0, 1, 2, 130),
    *(-signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT),  # before Python had come up, the last two
}


@dataclass(frozen=True, slots=True)
class Ground:
    """What all rounds have in common."""

    s3: S3Server
    proxy: FaultProxy
    inputs: Inputs
    folder: Path

    def world(self, name: str, nodes: Nodes | None, generator: random.Random) -> World:
        """A fresh output."""
        settings = configuration(self.inputs, self.output(name), self.proxy.url)
        config = write_config(self.folder / f"{name}.yaml", settings)
        env = {KEY_VARIABLE: self.s3.key, SECRET_VARIABLE: self.s3.secret}
        return World(self.proxy, config, env, nodes, generator)

    def output(self, name: str) -> str:
        """URL of a round's output."""
        return f"s3://{self.inputs.bucket}/{name}"

    def check(self, name: str, undisturbed: Mapping[str, tuple[str, ...]]) -> Findings:
        """What a round's output holds."""
        return check_output(self.s3.folder, self.output(name), self.inputs, undisturbed)


@dataclass(frozen=True, slots=True)
class Disturbance:
    """What is done to one round.

    Attributes:
        name: of its output.
        seed: of when and to whom something is done.
        deck: what is done.
        faults: at most so many.
        kills: at most so many of them are kills.
        until: when the monotonic clock says that, no more.
    """

    name: str
    seed: str
    deck: FaultDeck
    faults: int
    kills: float
    until: float

    def is_over(self, done: Counter[str]) -> bool:
        """Whether that is enough."""
        enough = done.total() >= self.faults or kills_among(done) >= self.kills
        return enough or time.monotonic() >= self.until


def undisturbed_run(ground: Ground, nodes: Nodes | None) -> tuple[Findings, list[str]]:
    """What comes of the manifest when nothing is disturbed, and what is wrong with that."""
    with closing(ground.world("undisturbed", nodes, random.Random(0))) as world:
        wrong = _calm_run(world)
    findings = ground.check("undisturbed", {})
    return findings, wrong + findings.violations


def disturbed_round(
    ground: Ground,
    disturbance: Disturbance,
    undisturbed: Mapping[str, tuple[str, ...]],
    nodes: Nodes | None,
) -> RoundResult:
    """Disturb runs on a fresh output, bring it to its end with a calm run, and check it.

    Args:
        ground: what all rounds have in common.
        disturbance: what is done to this one.
        undisturbed: id → sha256 of the images of an undisturbed run.
        nodes: the cluster to run on; None: each run starts a Ray of its own.
    """
    name = disturbance.name
    ground.proxy.spoiled.clear()
    with closing(ground.world(name, nodes, random.Random(disturbance.seed))) as world:
        done: Counter[str] = Counter()
        violations: list[str] = []
        ground.proxy.weather = ROUGH
        try:
            _disturb(world, done, disturbance)
        except StuckError as error:
            violations.append(str(error))
        ground.proxy.weather = CALM
        if nodes is not None:
            nodes.add_missing()
        violations += _calm_run(world)
        violations += _bad_ends(world)
    findings = ground.check(name, undisturbed)
    redone_s: defaultdict[str, float] = defaultdict(float)
    for fault, path in world.redrawn:
        redone_s[fault] += findings.drawing_s.get(path, 0)
    return RoundResult(
        faults=done,
        runs=len(world.runs),
        lost=len(findings.lost),
        duplicated=len(findings.duplicated),
        unreadable=len(findings.unreadable),
        redrawn=Counter(fault for fault, _ in world.redrawn),
        redone_s=redone_s,
        spoiled=ground.proxy.spoiled.copy(),
        violations=tuple(violations + findings.violations),
    )


def _disturb(world: World, done: Counter[str], disturbance: Disturbance) -> None:
    while not disturbance.is_over(done):
        if not world.alive:
            if world.runs and world.runs[-1].process.returncode == 0:
                return  # nothing is left to do
            world.start()
        if world.random.random() >= _EARLY and not world.wait_for_actors(_START_S):
            continue
        time.sleep(world.random.uniform(0, 2))
        if not world.alive:
            continue
        name = disturbance.deck.draw(on_nodes=world.nodes is not None)
        logger.info("fault %s", name)
        before, world.last_fault = world.last_fault, name
        if FAULTS[name](world):
            done[name] += 1
        else:
            world.last_fault = before
            disturbance.deck.put_back(name)


def _calm_run(world: World) -> list[str]:
    """Wait for the drivers that still run, then one more to the end; what is wrong with it."""
    give_up_at = time.monotonic() + _CALM_RUN_S
    for run in world.alive:
        if not run.ends_within(give_up_at - time.monotonic()):
            return [f"a disturbed run does not end: {run.said}"]
    for _ in range(_CALM_TRIES):
        last = world.start("--set", "stylize.row_timeout_s=600")
        if not last.ends_within(_CALM_RUN_S):
            return [f"the calm run does not end: {last.said}"]
        if last.process.returncode != _RUN_FAILED:
            break
        # On a busy machine Ray may not come up in the 30 s that it gives itself.
        logger.warning("the calm run ended with 1: %s", last.said)
    if last.process.returncode != 0:
        return [f"the calm run ended with {last.process.returncode}: {last.said}"]
    return []


def _bad_ends(world: World) -> list[str]:
    """Runs that ended in a way that no fault explains: with a traceback, or an unknown code."""
    return [f"{run.log.name} ended badly: {run.said}" for run in world.runs if _ended_badly(run)]


def _ended_badly(run: Run) -> bool:
    code = run.process.returncode
    # asyncio logs tracebacks of cut connections, too; an uncaught exception ends a run with 1.
    return code not in _ENDS or (code == _RUN_FAILED and "Traceback" in run.said)
