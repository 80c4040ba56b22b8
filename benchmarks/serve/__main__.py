"""Speed of `uso serve`: goodput of the pool, overhead of a request, latency, and a soak.

    python -m benchmarks.serve                                  # two minutes
    python -m benchmarks.serve --ray-serve /tmp/rs/bin/python   # beside Ray Serve
    python -m benchmarks.serve --soak 10                        # ten minutes at 80 % load

Ray Serve needs packages that the project does not use, so it gets an environment of its own:

    python -m venv /tmp/rs && /tmp/rs/bin/pip install 'ray[serve]==2.60.0'

Work is a sleep in real Ray actors, so two cores can simulate eight GPUs. Prints the tables of
docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
from contextlib import ExitStack
from pathlib import Path

from benchmarks.serve import contenders, overhead, soak
from benchmarks.serve.goodput import goodput, latency, percentiles


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ray-serve", metavar="PYTHON", help="Python that has ray[serve]")
    parser.add_argument("--work", type=float, default=0.2, help="seconds of work per image")
    parser.add_argument("--actors", type=int, default=8)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=30, help="of the measurement of goodput")
    parser.add_argument("--rounds", type=int, default=5, help="of the measurement of overhead")
    parser.add_argument("--requests", type=int, default=200, help="of a contender in a round")
    parser.add_argument("--only", choices=("goodput", "overhead"))
    parser.add_argument("--soak", type=float, metavar="MINUTES", help="do this instead")
    parser.add_argument("--load", type=float, default=0.8, help="of the soak, as a share")
    arguments = parser.parse_args()
    print(f"load before: {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory(prefix="serve-") as folder:
        if arguments.soak:
            _soak(Path(folder), arguments)
            arguments.only = "soak"
        if arguments.only in (None, "goodput"):
            _goodput(Path(folder, "goodput"), arguments)
        if arguments.only in (None, "overhead"):
            _overhead(Path(folder, "overhead"), arguments)
    print(f"load after: {os.getloadavg()[0]:.1f}")


def _soak(folder: Path, arguments: argparse.Namespace) -> None:
    actors, work_s = arguments.actors, arguments.work
    per_s = arguments.load * actors / work_s
    with contenders.ours(folder / "soak", actors=actors, work_s=work_s) as server:
        course = asyncio.run(soak.soak(server, minutes=arguments.soak, per_s=per_s))
    print(soak.summary(course))


def _goodput(folder: Path, arguments: argparse.Namespace) -> None:
    actors, work_s = arguments.actors, arguments.work
    with contenders.ours(folder, actors=actors, work_s=work_s) as server:
        share = asyncio.run(
            goodput(server, clients=arguments.clients, seconds=arguments.seconds, actors=actors)
        )
        print(f"goodput {share:.4f} with {arguments.clients} clients, {actors} actors")
        for name, times in asyncio.run(latency(server, 30)).items():
            median, high = percentiles([each - work_s for each in times])
            print(
                f"latency beside the work, {name}: {1e3 * median:.1f} ms, p95 {1e3 * high:.1f} ms"
            )


def _overhead(folder: Path, arguments: argparse.Namespace) -> None:
    with ExitStack() as stack:
        rivals = [
            stack.enter_context(contenders.bare(folder / "bare")),
            stack.enter_context(contenders.ours(folder / "ours", actors=1, work_s=0)),
        ]
        if arguments.ray_serve:
            rival = contenders.ray_serve(folder / "ray-serve", arguments.ray_serve)
            rivals.append(stack.enter_context(rival))
        measured = asyncio.run(overhead.measure(rivals, arguments.rounds, arguments.requests))
        compared = rivals[-1].name if arguments.ray_serve else None
        print(overhead.table(measured, rivals[0].name, compared))


if __name__ == "__main__":
    main()
