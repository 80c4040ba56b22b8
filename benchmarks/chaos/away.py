"""Rounds in which a driver is suspended while another takes over, or in which the output vanishes.

    python -m benchmarks.chaos.away --paused 20 --vanishing 20

Each round has its own output. Real `uso run` processes with the tiny model work on a real Ray
cluster of two nodes. Prints a line for each round and a summary; the exit code is 1 if a row was
lost, has two records or an image that differs from its record, or if a run ended otherwise than
promised.
"""

from __future__ import annotations

import argparse
import logging
import random
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from benchmarks.chaos.cluster import nodes
from benchmarks.chaos.paused import paused_round
from benchmarks.chaos.place import Place, Result
from benchmarks.chaos.vanishing import WAYS, vanishing_round
from tests.conditional_s3 import serve_conditional_s3

logger = logging.getLogger("chaos")


def run_away(paused: int, vanishing: int, seed: int, folder: Path) -> Iterator[Result]:
    """Run these numbers of rounds; all files are below `folder`."""
    dice = random.Random(seed)
    with ExitStack() as stack:
        s3 = stack.enter_context(serve_conditional_s3()) if paused > 1 else {}
        cluster = stack.enter_context(nodes())
        for number in range(paused):
            options = s3 if number % 2 else {}
            place = Place.new(folder / f"paused-{number}", cluster, options)
            yield paused_round(place, number, dice)
        for number in range(vanishing):
            place = Place.new(folder / f"vanishing-{number}", cluster, {})
            yield vanishing_round(place, list(WAYS)[number % len(WAYS)], dice)


def summary(results: list[Result]) -> str:
    """Return the sums of all rounds in one line."""
    return (
        f"{len(results)} rounds, {sum(result.runs for result in results)} runs: "
        f"{sum(result.lost for result in results)} rows lost, "
        f"{sum(result.doubled for result in results)} doubled, "
        f"{sum(result.wrong for result in results)} wrong hashes, "
        f"{sum(len(result.violations) for result in results)} violations"
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.chaos.away")
    parser.add_argument("--paused", type=int, default=20, help="rounds with a paused driver")
    parser.add_argument("--vanishing", type=int, default=20, help="rounds with a vanishing output")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    results: dict[str, list[Result]] = {}
    with tempfile.TemporaryDirectory(prefix="uso-away-", ignore_cleanup_errors=True) as folder:
        for result in run_away(options.paused, options.vanishing, options.seed, Path(folder)):
            results.setdefault(result.kind, []).append(result)
            logger.info("%s: %s %s", result.kind, result.what, result.violations or "ok")
    for kind, of_kind in results.items():
        print(f"{kind}: {summary(of_kind)}")
    return 1 if any(result.violations for of_kind in results.values() for result in of_kind) else 0


if __name__ == "__main__":
    sys.exit(main())
