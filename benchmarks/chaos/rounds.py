"""One round: a new output, disturbed drivers on it, a calm run to the end, a check."""

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
from benchmarks.chaos.environment import Environment
from benchmarks.chaos.faults import FAULTS, StuckError
from benchmarks.chaos.inputs import Inputs, configuration
from benchmarks.chaos.proxy import CALM, ROUGH, FaultProxy
from benchmarks.chaos.report import RoundResult, kills_among
from benchmarks.chaos.runs import Run
from benchmarks.chaos.stores import Store
from tests.integration.harness import write_config

logger = logging.getLogger(__name__)

_START_S = 90.0
_CALM_RUN_S = 420.0
_CALM_TRIES = 3
_RUN_FAILED = 1
_EARLY = 0.15  # share of faults that do not wait for a working actor
_ENDS = {
    *(0, 1, 2, 130),
    *(-signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT),  # the last two: before Python was up
}


@dataclass(frozen=True, slots=True)
class Setup:
    """Everything that all rounds share."""

    store: Store
    proxy: FaultProxy
    inputs: Inputs
    folder: Path

    def environment(self, name: str, nodes: Nodes | None, generator: random.Random) -> Environment:
        """Return an environment with a new output."""
        storage = self.store.settings_at(self.proxy.url)
        settings = configuration(self.inputs, self.output(name), storage)
        config = write_config(self.folder / f"{name}.yaml", settings)
        env = self.store.variables_at(self.proxy.url)
        return Environment(self.proxy, config, env, nodes, generator)

    def output(self, name: str) -> str:
        """Return the URL of a round's output."""
        return f"{self.store.scheme}://{self.inputs.bucket}/{name}"

    def check(self, name: str, undisturbed: Mapping[str, tuple[str, ...]]) -> Findings:
        """Check a round's output."""
        self.store.copy(self.inputs.bucket, name)
        return check_output(self.store.folder, self.output(name), self.inputs, undisturbed)


@dataclass(frozen=True, slots=True)
class Disturbance:
    """The faults of one round.

    Attributes:
        name: name of its output.
        seed: seed of the times and targets of the faults.
        deck: supplies the faults.
        faults: maximum number of faults.
        kills: maximum number of faults that kill.
        until: time on the monotonic clock after which no fault starts.
    """

    name: str
    seed: str
    deck: FaultDeck
    faults: int
    kills: float
    until: float

    def is_over(self, done: Counter[str]) -> bool:
        """Return True if the round has had enough faults."""
        enough = done.total() >= self.faults or kills_among(done) >= self.kills
        return enough or time.monotonic() >= self.until


def undisturbed_run(setup: Setup, nodes: Nodes | None) -> tuple[Findings, list[str]]:
    """Run the manifest without faults; return the findings and all violations."""
    with closing(setup.environment("undisturbed", nodes, random.Random(0))) as environment:
        wrong = _calm_run(environment)
    findings = setup.check("undisturbed", {})
    return findings, wrong + findings.violations


def disturbed_round(
    setup: Setup,
    disturbance: Disturbance,
    undisturbed: Mapping[str, tuple[str, ...]],
    nodes: Nodes | None,
) -> RoundResult:
    """Disturb runs on a new output, finish it with a calm run, and check it.

    Args:
        setup: everything that all rounds share.
        disturbance: the faults of this round.
        undisturbed: row id → hashes of its images in an undisturbed run.
        nodes: the cluster to run on; None if each run starts its own Ray.
    """
    name = disturbance.name
    setup.proxy.faulty.clear()
    with closing(setup.environment(name, nodes, random.Random(disturbance.seed))) as environment:
        done: Counter[str] = Counter()
        violations: list[str] = []
        setup.proxy.rates = ROUGH
        try:
            _disturb(environment, done, disturbance)
        except StuckError as error:
            violations.append(str(error))
        setup.proxy.rates = CALM
        if nodes is not None:
            nodes.add_missing()
        violations += _calm_run(environment)
        violations += _bad_ends(environment)
    findings = setup.check(name, undisturbed)
    redone_s: defaultdict[str, float] = defaultdict(float)
    for fault, path in environment.regenerated:
        redone_s[fault] += findings.generation_s.get(path, 0)
    return RoundResult(
        faults=done,
        runs=len(environment.runs),
        lost=len(findings.lost),
        duplicated=len(findings.duplicated),
        unreadable=len(findings.unreadable),
        regenerated=Counter(fault for fault, _ in environment.regenerated),
        redone_s=redone_s,
        faulty=setup.proxy.faulty.copy(),
        violations=tuple(violations + findings.violations),
    )


def _disturb(environment: Environment, done: Counter[str], disturbance: Disturbance) -> None:
    while not disturbance.is_over(done):
        if not environment.alive:
            if environment.runs and environment.runs[-1].process.returncode == 0:
                return  # all rows are done
            environment.start()
        if environment.random.random() >= _EARLY and not environment.wait_for_actors(_START_S):
            continue
        time.sleep(environment.random.uniform(0, 2))
        if not environment.alive:
            continue
        name = disturbance.deck.draw(on_nodes=environment.nodes is not None)
        logger.info("fault %s", name)
        before, environment.last_fault = environment.last_fault, name
        if FAULTS[name](environment):
            done[name] += 1
        else:
            environment.last_fault = before
            disturbance.deck.put_back(name)


def _calm_run(environment: Environment) -> list[str]:
    """Wait for the running drivers, then run one more to the end; return the violations."""
    give_up_at = time.monotonic() + _CALM_RUN_S
    for run in environment.alive:
        if not run.ends_within(give_up_at - time.monotonic()):
            return [f"a disturbed run does not end: {run.printed}"]
    for _ in range(_CALM_TRIES):
        last = environment.start("--set", "stylize.row_timeout_s=600")
        if not last.ends_within(_CALM_RUN_S):
            return [f"the calm run does not end: {last.printed}"]
        if last.process.returncode != _RUN_FAILED:
            break
        # On a busy machine, Ray may need more than the 30 s that it allows itself to start.
        logger.warning("the calm run ended with 1: %s", last.printed)
    if last.process.returncode != 0:
        return [f"the calm run ended with {last.process.returncode}: {last.printed}"]
    return []


def _bad_ends(environment: Environment) -> list[str]:
    """Describe the runs that ended with a traceback or an unknown exit code."""
    return [
        f"{run.log.name} ended badly: {run.printed}"
        for run in environment.runs
        if _ended_badly(run)
    ]


def _ended_badly(run: Run) -> bool:
    code = run.process.returncode
    # asyncio also logs tracebacks of cut connections; an uncaught exception ends a run with 1.
    return code not in _ENDS or (code == _RUN_FAILED and "Traceback" in run.printed)
