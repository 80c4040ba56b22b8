"""Kills a server, its actors, its nodes and its database at random moments.

    python -m benchmarks.chaos.server --kills 30 --tasks 200
    python -m benchmarks.chaos.server --kills 30 --tasks 200 --database postgres

`uso serve` runs as a process with the tiny model on a real Ray cluster of two nodes. A client
submits tasks with webhooks throughout, and cancels some; the receiver of the webhooks refuses some.
Postgres is Debian's. Prints a table and a summary; the exit code is 1 if an accepted task was lost,
has two results or an image that differs from its record, or if the end of a task was not told, or
told wrongly.
"""

from __future__ import annotations

import argparse
import logging
import math
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks.chaos.client import Client
from benchmarks.chaos.cluster import Nodes, nodes
from benchmarks.chaos.receiver import Receiver, receiving
from benchmarks.chaos.runs import actors_among, descendants
from benchmarks.chaos.served import Served
from benchmarks.chaos.served_check import Findings, check_served
from tests.postgres_server import PostgresServer, serve_postgres

logger = logging.getLogger("chaos")

_END_S = 1200.0
_TIMES = {"server killed": 3, "actor killed": 3, "Ray node killed": 2, "Postgres killed": 2}
_POLL_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The amount of disturbance.

    Attributes:
        kills: most kills.
        tasks: number of tasks, if all kills are made.
        database: `sqlite` or `postgres`.
        seed: seed of all random choices.
        minutes: time after which nothing is killed and no further task submitted.
    """

    kills: int
    tasks: int
    database: str = "sqlite"
    seed: int = 1
    minutes: float = math.inf


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a round.

    Attributes:
        faults: number of faults of each kind.
        starts: number of times that the server was started.
        seconds: its whole time.
        findings: the tasks and webhooks, compared.
    """

    faults: Counter[str]
    starts: int
    seconds: float
    findings: Findings


class Round:
    """One server with everything around it."""

    def __init__(self, plan: Plan, folder: Path, stack: ExitStack) -> None:
        self.plan = plan
        self.dice = random.Random(plan.seed)
        self.nodes: Nodes = stack.enter_context(nodes())
        self.receiver: Receiver = stack.enter_context(receiving(plan.seed))
        self.postgres: PostgresServer | None = None
        location = str(folder / "uso.db")
        if plan.database == "postgres":
            self.postgres = stack.enter_context(serve_postgres())
            location = self.postgres.new_database()
        self.served = Served(folder, location, self.nodes.address)
        stack.callback(self.served.close)
        self.client = Client(self.served, self.receiver.url, plan.tasks, plan.seed)
        self.faults: Counter[str] = Counter()

    def run(self) -> Findings:
        """Disturb, let everything end, and compare."""
        kinds = _kinds(self)
        until = time.monotonic() + 60 * self.plan.minutes
        while (kills := _kills(self.faults)) < self.plan.kills and time.monotonic() < until:
            # Tasks come until the last kill, so that each kill meets some.
            self.client.allow(self.plan.tasks * (kills + 1) // self.plan.kills)
            self.served.wait_until_ready()
            time.sleep(self.dice.uniform(0, 5))
            (name,) = self.dice.choices(list(kinds), [_TIMES.get(kind, 1) for kind in kinds])
            if kinds[name]():
                self.faults[name] += 1
                logger.info("%d kills: %s; %d accepted", kills, name, self.client.count)
        self.served.wait_until_ready()
        self._wait_for_the_end()
        self.client.close()
        self.served.stop()
        return check_served(self.served, self.client, self.receiver)

    def _wait_for_the_end(self) -> None:
        give_up_at = time.monotonic() + _END_S
        while time.monotonic() < give_up_at:
            if self.client.waits and self.receiver.told >= self.client.ids:
                return
            time.sleep(_POLL_S)

    def kill_server(self) -> bool:
        """Send SIGKILL to the server, and start it again."""
        self.served.kill()
        self.served.start()
        return True

    def terminate_server(self) -> bool:
        """Send SIGTERM to the server, and start it again."""
        self.served.stop()
        self.served.start()
        return True

    def kill_actor(self) -> bool:
        """Send SIGKILL to an actor, at work or loading."""
        actors = actors_among(descendants(self.nodes.raylets), busy=False)
        if actors:
            self.dice.choice(actors).kill()
        return bool(actors)

    def kill_node(self) -> bool:
        """Send SIGKILL to all processes of a Ray node; another one joins some seconds later."""
        self.nodes.kill_node(self.dice.randrange(2))
        time.sleep(self.dice.uniform(0, 3))
        self.nodes.add_missing()
        return True

    def kill_postgres(self) -> bool:
        """Send SIGKILL to all processes of Postgres, and start it again some seconds later."""
        assert self.postgres is not None
        self.postgres.kill()
        time.sleep(self.dice.uniform(0, 3))
        self.postgres.start()
        return True


def _kinds(each: Round) -> dict[str, Callable[[], bool]]:
    kinds = {
        "server killed": each.kill_server,
        "server gets SIGTERM": each.terminate_server,
        "actor killed": each.kill_actor,
        "Ray node killed": each.kill_node,
    }
    return kinds if each.postgres is None else {**kinds, "Postgres killed": each.kill_postgres}


def _kills(faults: Counter[str]) -> int:
    return sum(count for name, count in faults.items() if "killed" in name)


def run_round(plan: Plan, folder: Path) -> Result:
    """Run a round; its files are below `folder`."""
    started = time.monotonic()
    with ExitStack() as stack:
        this = Round(plan, folder, stack)
        this.served.start()
        this.client.start()
        findings = this.run()
    return Result(this.faults, this.served.starts, time.monotonic() - started, findings)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.chaos.server")
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--tasks", type=int, default=200)
    parser.add_argument("--database", choices=("sqlite", "postgres"), default="sqlite")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=120, help="kill nothing after this time")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    logging.getLogger("httpx2").setLevel(logging.WARNING)
    with tempfile.TemporaryDirectory(prefix="uso-served-", ignore_cleanup_errors=True) as folder:
        result = run_round(Plan(**vars(options)), Path(folder))
    print("| fault | times |\n|---|---:|")
    for name, count in sorted(result.faults.items()):
        print(f"| {name} | {count} |")
    print(f"\n{result.starts} starts, {result.seconds:.0f} s: {result.findings.summary}")
    for violation in result.findings.violations:
        print(f"VIOLATION: {violation}", file=sys.stderr)
    return 1 if result.findings.violations else 0


if __name__ == "__main__":
    sys.exit(main())
