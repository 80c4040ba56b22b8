"""Disturbs the real pipeline at random moments, and checks that nothing is lost.

    python -m benchmarks.chaos --rounds 20 --seed 1
    python -m benchmarks.chaos --minutes 5
    python -m benchmarks.chaos --kills 100 --minutes 180
    python -m benchmarks.chaos --store az --rounds 20    # or gs; az needs `make azurite`

It runs `uso run` as a process with the tiny model, real Ray, a real server of S3, of Google Cloud
Storage's API or of Azure's behind a faulty proxy, and a misbehaving web server. Three of four
rounds run on a cluster of several nodes. Prints a Markdown table, also when interrupted; the exit
code is 1 if anything broke the guarantees of docs/reliability.md.
"""

from __future__ import annotations

import argparse
import logging
import math
import signal
import sys
import tempfile
from pathlib import Path
from types import FrameType

from benchmarks.chaos.report import RoundResult, table, totals
from benchmarks.chaos.session import Plan, run_rounds
from benchmarks.chaos.stores import STORES

logger = logging.getLogger("chaos")  # the name of this module is __main__


def _stop(_number: int, _frame: FrameType | None) -> None:
    """Exit through the cleanup of everything that was started."""
    raise SystemExit(130)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.chaos")
    parser.add_argument("--rounds", type=int, default=1000, help="maximum number of outputs")
    parser.add_argument(
        "--minutes", type=float, default=60, help="start no new fault after this time"
    )
    parser.add_argument("--kills", type=int, default=math.inf, help="stop after this many kills")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rows", type=int, default=100, help="rows of the manifest")
    parser.add_argument("--faults", type=int, default=10, help="maximum per round")
    parser.add_argument("--store", choices=STORES, default="s3", help="server of the outputs")
    parser.add_argument(
        "--alone-every", type=int, default=4, help="run every Nth round without the cluster"
    )
    return parser.parse_args()


def main() -> int:
    options = _options()
    for number in (signal.SIGINT, signal.SIGTERM):  # a background process ignores SIGINT
        signal.signal(number, _stop)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    plan = Plan(
        rounds=options.rounds,
        rows=options.rows,
        faults=options.faults,
        kills=options.kills,
        seconds=60 * options.minutes,
        seed=options.seed,
        alone_every=options.alone_every,
        store=options.store,
    )
    results: list[RoundResult] = []
    try:
        with tempfile.TemporaryDirectory(prefix="uso-chaos-", ignore_cleanup_errors=True) as folder:
            for result in run_rounds(plan, Path(folder)):
                results.append(result)
                logger.info("so far: %s", totals(results))
    finally:
        print(table(results))
        print(f"\n{totals(results)}")
    violations = [violation for result in results for violation in result.violations]
    for violation in violations:
        print(f"VIOLATION: {violation}", file=sys.stderr)
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
