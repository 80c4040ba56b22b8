"""Cache hits gained by sending rows that share inputs to the same worker.

    python -m benchmarks.affinity                 # 8 workers with 64 cache entries of each kind
    python -m benchmarks.affinity --workers 64 --entries 256

The real dispatcher runs in simulated time: rows of one second ±20 %, three per worker at a time.
"First in, first out" is the same run with rows whose names do not reveal what they share. Prints
the table of docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product

from pipelines.dispatch.tasks import DispatchPolicy
from pipelines.rows import ManifestRow, Reference
from tests.pipelines.simulated_pool import Given, SimulatedPool, hit_rate, run_all
from uso_core.request import Parameters

_IN_FLIGHT = 3

KINDS: dict[str, Callable[[ManifestRow], Sequence[Reference]]] = {
    "contents": lambda row: [row.content_image] if row.content_image else [],
    "styles": lambda row: row.style_images,
    "prompts": lambda row: [row.prompt],
}


@dataclass(frozen=True)
class Hits:
    """Cache hit rates by kind: first in, first out, and with affinity."""

    before: dict[str, float]
    after: dict[str, float]

    def __str__(self) -> str:
        return " | ".join(f"{self.before[kind]:.1%} → {self.after[kind]:.1%}" for kind in KINDS)


def row(number: int, content: int, style: int, prompt: str = "") -> ManifestRow:
    """Return a row of a manifest."""
    images = f"s3://photos/{content}.jpg", (f"s3://styles/{style}.jpg",)
    return ManifestRow(f"r{number:05d}", prompt, *images, Parameters(), "f")


def grid(contents: int, styles: int) -> list[ManifestRow]:
    """Return rows as `uso manifest` orders them: by content image, each with all styles."""
    pairs = product(range(contents), range(styles))
    return [row(n, content, style) for n, (content, style) in enumerate(pairs)]


def grid_by_style(contents: int, styles: int) -> list[ManifestRow]:
    """Return all content images of a style, then the next style."""
    pairs = product(range(styles), range(contents))
    return [row(n, content, style) for n, (style, content) in enumerate(pairs)]


def manifests() -> dict[str, list[ManifestRow]]:
    """Return the manifests to measure, by name."""
    rng = random.Random(0)
    captioned = [replace(each, prompt=f"of {each.content_image!r}") for each in grid(200, 6)]
    picks = [(c, s) for c in range(400) for s in rng.sample(range(50), 3)]
    return {
        "60 contents x 20 styles, as `uso manifest` writes it": grid(60, 20),
        "20 styles x 60 contents": grid_by_style(60, 20),
        "the same, shuffled": rng.sample(grid(60, 20), 1200),
        "200 contents with a prompt each x 6 styles": captioned,
        "400 contents, each with 3 of 50 styles": [row(n, *pick) for n, pick in enumerate(picks)],
        "1,200 contents with one style": [row(n, n, 0) for n in range(1200)],
        "every row different": [row(n, n, n, f"number {n}") for n in range(1200)],
    }


def nameless(rows: Sequence[ManifestRow]) -> list[ManifestRow]:
    """Return the same rows with unique names, so that the dispatcher cannot see shared inputs."""
    return [
        replace(row, prompt=row.id, content_image=f"{row.id}-c", style_images=(f"{row.id}-s",))
        for row in rows
    ]


def given_out(rows: Sequence[ManifestRow], workers: int) -> list[Given]:
    """Return which worker gets which row, and when."""
    pool = SimulatedPool(workers)
    run_all(pool, rows, DispatchPolicy(rows_in_flight=_IN_FLIGHT))
    return pool.given


def measure(rows: Sequence[ManifestRow], workers: int, entries: int) -> Hits:
    """Return the hit rates of caches with `entries` entries for each kind."""
    before, after = given_out(nameless(rows), workers), given_out(rows, workers)
    needs = {kind: {row.id: of(row) for row in rows} for kind, of in KINDS.items()}
    return Hits(
        {kind: hit_rate(before, needs[kind], entries) for kind in KINDS},
        {kind: hit_rate(after, needs[kind], entries) for kind in KINDS},
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument(
        "--entries", type=int, default=64, help="entries of each kind in a worker's cache"
    )
    arguments = parser.parse_args()
    print(f"| manifest | rows | {' | '.join(KINDS)} |\n|---|---|---|---|---|")
    for name, rows in manifests().items():
        hits = measure(rows, arguments.workers, arguments.entries)
        print(f"| {name} | {len(rows):,} | {hits} |")


if __name__ == "__main__":
    main()
