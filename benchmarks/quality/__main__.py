"""Prints what each preset costs in quality: python -m benchmarks.quality [OPTIONS].

Runs on a CPU. For another model, give a folder with held-out pairs (`benchmarks/quality/pairs.py`
describes its `pairs.csv`).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from benchmarks.quality.metrics import mean_quality, psnr, quality
from benchmarks.quality.pairs import Pair, demo_pairs, pairs_in
from benchmarks.quality.ways import WAYS
from uso_core.loading.source import ModelSource

_SAME_DECIBELS = 99.0  # shown for equal pictures, whose PSNR is infinite


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality", description=__doc__)
    parser.add_argument("--model", default="demo", help="model.base (demo)")
    parser.add_argument("--pairs", type=Path, metavar="DIR", help="held-out pairs (the demo's)")
    parser.add_argument("--count", type=int, default=14, help="number of pairs (14)")
    parser.add_argument("--steps", type=int, default=12, help="steps of exact (12)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    pairs = (
        demo_pairs(options.count)
        if options.pairs is None
        else pairs_in(options.pairs, options.count)
    )
    print(f"{options.model}, {len(pairs)} pairs, {options.steps} steps\n")
    print("| way | from exact | to the target | palette | edges |\n|---|---|---|---|---|")
    exact: Sequence[Image.Image] = []
    for way in WAYS:
        drawn = way.draw(ModelSource(base=options.model), pairs, options.steps)
        exact = exact or drawn
        print(_row(way.name, drawn, exact, pairs), flush=True)


def _row(
    name: str, drawn: Sequence[Image.Image], exact: Sequence[Image.Image], pairs: Sequence[Pair]
) -> str:
    levels = [np.asarray(image) for image in drawn]
    targets = [np.asarray(pair.target) for pair in pairs]
    distances = [psnr(a, np.asarray(b)) for a, b in zip(levels, exact, strict=True)]
    distance = float(np.mean(np.minimum(distances, _SAME_DECIBELS)))
    found = mean_quality([quality(a, b) for a, b in zip(levels, targets, strict=True)])
    apart = "same" if distance >= _SAME_DECIBELS else f"{distance:.1f} dB"
    return (
        f"| {name} | {apart} | {found.decibels:.2f} dB | {found.palette:.3f} | {found.edges:.3f} |"
    )


if __name__ == "__main__":
    main()
