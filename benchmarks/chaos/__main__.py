"""Disturbs the real pipeline at random moments, and checks that nothing is lost.

    python -m benchmarks.chaos --rounds 20 --seed 1
    python -m benchmarks.chaos --minutes 5
    python -m benchmarks.chaos --kills 100 --minutes 180

`uso run` as a process with the tiny model, real Ray, a real S3 server behind a proxy that answers
badly, and a web server that misbehaves. Three rounds of four run on a cluster of several nodes.
Prints a Markdown table, also when it is interrupted; the exit code is 1 if anything broke the
promise of docs/reliability.md.
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

logger = logging.getLogger("chaos")  # this module's name is __main__


def _stop(_number: int, _frame: FrameType | None) -> None:
    """End everything that was started on the way out."""
    raise SystemExit(130)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.chaos")
    parser.add_argument("--rounds", type=int, default=1000, help="at most so many outputs")
    parser.add_argument("--minutes", type=float, default=60, help="begin nothing new after that")
    parser.add_argument("--kills", type=int, default=math.inf, help="begin nothing new after that")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rows", type=int, default=100, help="of the manifest")
    parser.add_argument("--faults", type=int, default=10, help="per round, at most")
    parser.add_argument(
        "--alone-every", type=int, default=4, help="one round in so many without the cluster"
    )
    return parser.parse_args()


def main() -> int:
    options = _options()
    for number in (
        signal.SIGINT,
        signal.SIGTERM,
    ):  # a background job ignores the first
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
