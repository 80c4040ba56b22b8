"""How fast the engine draws, how much memory it takes, and how far each way is from exact.

    python -m benchmarks.engine                  # on a GPU: FLUX.1-dev's dimensions, all ways
    python -m benchmarks.engine --ways original exact
    python -m benchmarks.engine --first-image    # cold and warm compile cache, a process each
    python -m benchmarks.engine --queue 16 --ways exact   # decoding beside the next row

Weights are random and made on the device, so nothing is downloaded; times and memory are those of
the real ones, pictures are not. Without a GPU it runs on the tiny model and says so: that shows
that it works, and nothing about speed. Prints tables as they stand in docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence

import torch

from benchmarks.engine.cases import FULL, TINY, WAYS, Case, WayName
from benchmarks.engine.measure import (
    Device,
    Measured,
    Way,
    largest_costs,
    matmul_tflops,
    measure,
)
from benchmarks.engine.queued import measure_queue, queue_table
from benchmarks.engine.tables import costs_table, distance_table, speed_table
from benchmarks.engine.ways import make_way, ways_on
from uso_core.loading.dimensions import Dimensions, dimensions_of
from uso_core.loading.source import ModelSource
from uso_core.pipeline import USOPipeline

_COMPILE_CACHE = "TORCHINDUCTOR_CACHE_DIR"
_TINY_NOTE = "no GPU: the tiny model on the CPU, which shows that this runs and nothing else"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print tables."""
    asked = _parsed(arguments)
    device = Device(torch.device(asked.device))
    if not device.is_gpu:
        torch.set_num_threads(1)  # tiny models are slower on more
    if asked.time_first_image is not None:
        print(first_image_s(asked.time_first_image, device, asked.steps))
        return
    print(f"{device.name}; PyTorch {torch.__version__}, Python {platform.python_version()}")
    if not device.is_gpu:
        print(_TINY_NOTE)
    if asked.first_image:
        compare_first_images(asked)
    elif asked.queue:
        compare_lanes(asked, device)
    else:
        compare_ways(asked, device)


def compare_ways(asked: argparse.Namespace, device: Device) -> None:
    """Every case in every way: speed, memory, distance; and what takes most of a step."""
    full, dtype = device.is_gpu, device.dtype
    ceiling = matmul_tflops(device, dtype, 8192 if full else 512, seconds=asked.matmul_seconds)
    print(f"matrix products reach {ceiling:.3g} TFLOP/s, the ceiling below; {asked.steps} steps\n")
    results: dict[tuple[WayName, Case], Measured] = {}
    costs: list[tuple[str, float]] = []
    try:
        for name in asked.ways or ways_on(device.device, dtype):
            way = make_way(name, full=full, device=device.device, dtype=dtype)
            for case, got in measured_cases(way, device, asked):
                results[name, case] = got
                print(f"{name}: {case}: {got.image_s:.3f} s", file=sys.stderr)
            if name == "exact":
                costs = largest_costs(way, (FULL if full else TINY)[0].request(1), device)
            del way
            device.empty()
    finally:  # also where a way does not fit
        for lines in (speed_table(results, ceiling), distance_table(results), costs_table(costs)):
            print("\n".join(lines), end="\n\n")


def measured_cases(
    way: Way, device: Device, asked: argparse.Namespace
) -> Iterator[tuple[Case, Measured]]:
    """Each case that a way can draw."""
    model = Dimensions() if device.is_gpu else dimensions_of(ModelSource("tiny"))
    for case in FULL if device.is_gpu else TINY:
        if case.batch == 1 or isinstance(way, USOPipeline):
            requests = [case.request(asked.steps, number) for number in range(case.batch)]
            yield case, measure(way, requests, device, model, images=asked.images)


def compare_lanes(asked: argparse.Namespace, device: Device) -> None:
    """A queue of rows in each way that has two lanes, decoded on one and on two."""
    dtype = device.dtype
    case = (FULL if device.is_gpu else TINY)[0]
    requests = [case.request(asked.steps, number) for number in range(asked.queue)]
    results = {}
    for name in asked.ways or ways_on(device.device, dtype):
        way = make_way(name, full=device.is_gpu, device=device.device, dtype=dtype)
        if isinstance(way, USOPipeline) and way.preset.encoders == "device":
            results[name] = measure_queue(way, requests, device)
        del way
        device.empty()
    print("\n".join(queue_table(results, asked.queue)))


def compare_first_images(asked: argparse.Namespace) -> None:
    """Eager, and compiled with an empty and with a filled compile cache; a process each."""
    print("| first image of a process | s |\n|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        rows: list[tuple[str, WayName]] = [
            ("eager", "exact"),
            ("compiled, cold cache", "exact, compiled"),
            ("compiled, warm cache", "exact, compiled"),
        ]
        for label, name in rows:
            command = [sys.executable, "-m", "benchmarks.engine", "--time-first-image", name]
            command += ["--device", asked.device, "--steps", str(asked.steps)]
            environment = {**os.environ, _COMPILE_CACHE: folder}
            ran = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
            print(f"| {label} | {float(ran.stdout.split()[-1]):.1f} |", flush=True)


def first_image_s(name: WayName, device: Device, steps: int) -> float:
    """Seconds from a loaded model to its first picture."""
    full, dtype = device.is_gpu, device.dtype
    way = make_way(name, full=full, device=device.device, dtype=dtype)
    prepared = way.prepare((FULL if full else TINY)[0].request(steps))
    began = device.now()
    way.decode(way.denoise(way.condition(prepared), 0))
    return device.now() - began


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = "cuda" if torch.cuda.is_available() else "cpu"
    parser.add_argument("--device", choices=("cuda", "cpu"), default=default)
    parser.add_argument("--ways", nargs="+", choices=WAYS, help="absent: all that the device can")
    parser.add_argument("--steps", type=int, default=25)
    parser.add_argument("--images", type=int, default=3, help="times, of which the median counts")
    parser.add_argument("--matmul-seconds", type=float, default=2, help="to find the ceiling")
    parser.add_argument("--queue", type=int, metavar="ROWS", help="decoded on one lane, and on two")
    parser.add_argument("--first-image", action="store_true", help="cold and warm compile cache")
    parser.add_argument("--time-first-image", choices=WAYS, help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
