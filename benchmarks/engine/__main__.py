"""Speed and memory of the engine, and the distance of each way from exact.

    python -m benchmarks.engine                  # on a GPU: FLUX.1-dev's dimensions, all ways
    python -m benchmarks.engine --ways original exact
    python -m benchmarks.engine --first-image    # cold and warm compile cache, a process each
    python -m benchmarks.engine --queue 16 --ways exact   # decoding in parallel with the next row

Weights are random and created on the device, so nothing is downloaded; times and memory match those
of the real weights, images do not. Without a GPU it runs on the tiny model and says so: that checks
the benchmark itself, and tells nothing about speed. Prints the tables of docs/benchmarks.md.
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
_TINY_NOTE = "no GPU: the tiny model on the CPU, which only shows that the benchmark runs"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print tables."""
    options = _parsed(arguments)
    device = Device(torch.device(options.device))
    if not device.is_gpu:
        torch.set_num_threads(1)  # tiny models are slower on more
    if options.time_first_image is not None:
        print(first_image_s(options.time_first_image, device, options.steps))
        return
    print(f"{device.name}; PyTorch {torch.__version__}, Python {platform.python_version()}")
    if not device.is_gpu:
        print(_TINY_NOTE)
    if options.first_image:
        compare_first_images(options)
    elif options.queue:
        compare_streams(options, device)
    else:
        compare_ways(options, device)


def compare_ways(options: argparse.Namespace, device: Device) -> None:
    """Measure every case in every way: speed, memory, distance; and the largest costs of a step."""
    full, dtype = device.is_gpu, device.dtype
    ceiling = matmul_tflops(device, dtype, 8192 if full else 512, seconds=options.matmul_seconds)
    print(
        f"matrix products reach {ceiling:.3g} TFLOP/s, the ceiling below; {options.steps} steps\n"
    )
    results: dict[tuple[WayName, Case], Measured] = {}
    costs: list[tuple[str, float]] = []
    try:
        for name in options.ways or ways_on(device.device, dtype):
            way = make_way(name, full=full, device=device.device, dtype=dtype)
            for case, measured in measured_cases(way, device, options):
                results[name, case] = measured
                print(f"{name}: {case}: {measured.image_s:.3f} s", file=sys.stderr)
            if name == "exact":
                costs = largest_costs(way, (FULL if full else TINY)[0].request(1), device)
            del way
            device.empty()
    finally:  # even if a way does not fit
        for lines in (speed_table(results, ceiling), distance_table(results), costs_table(costs)):
            print("\n".join(lines), end="\n\n")


def measured_cases(
    way: Way, device: Device, options: argparse.Namespace
) -> Iterator[tuple[Case, Measured]]:
    """Measure each case that a way supports."""
    model = Dimensions() if device.is_gpu else dimensions_of(ModelSource("tiny"))
    for case in FULL if device.is_gpu else TINY:
        if case.batch == 1 or isinstance(way, USOPipeline):
            requests = [case.request(options.steps, number) for number in range(case.batch)]
            yield case, measure(way, requests, device, model, images=options.images)


def compare_streams(options: argparse.Namespace, device: Device) -> None:
    """Measure a queue of rows in each way with two streams, decoding on one stream and on two."""
    dtype = device.dtype
    case = (FULL if device.is_gpu else TINY)[0]
    requests = [case.request(options.steps, number) for number in range(options.queue)]
    results = {}
    for name in options.ways or ways_on(device.device, dtype):
        way = make_way(name, full=device.is_gpu, device=device.device, dtype=dtype)
        if isinstance(way, USOPipeline) and way.preset.encoders == "device":
            results[name] = measure_queue(way, requests, device)
        del way
        device.empty()
    print("\n".join(queue_table(results, options.queue)))


def compare_first_images(options: argparse.Namespace) -> None:
    """Time eager, and compiled with an empty and a filled compile cache; a process each."""
    print("| first image of a process | s |\n|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        rows: list[tuple[str, WayName]] = [
            ("eager", "exact"),
            ("compiled, cold cache", "exact, compiled"),
            ("compiled, warm cache", "exact, compiled"),
        ]
        for label, name in rows:
            command = [sys.executable, "-m", "benchmarks.engine", "--time-first-image", name]
            command += ["--device", options.device, "--steps", str(options.steps)]
            environment = {**os.environ, _COMPILE_CACHE: folder}
            ran = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
            print(f"| {label} | {float(ran.stdout.split()[-1]):.1f} |", flush=True)


def first_image_s(name: WayName, device: Device, steps: int) -> float:
    """Return the seconds from a loaded model to its first image."""
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
    parser.add_argument(
        "--ways", nargs="+", choices=WAYS, help="default: all that the device supports"
    )
    parser.add_argument("--steps", type=int, default=25)
    parser.add_argument("--images", type=int, default=3, help="repetitions; the median is reported")
    parser.add_argument("--matmul-seconds", type=float, default=2, help="time to find the ceiling")
    parser.add_argument(
        "--queue", type=int, metavar="ROWS", help="decode on one stream, and on two"
    )
    parser.add_argument("--first-image", action="store_true", help="cold and warm compile cache")
    parser.add_argument("--time-first-image", choices=WAYS, help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
