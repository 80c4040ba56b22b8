"""The tables of docs/benchmarks.md."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from benchmarks.engine.cases import Case, WayName
from benchmarks.engine.measure import Measured, distance

Results = Mapping[tuple[WayName, Case], Measured]


def speed_table(results: Results, ceiling_tflops: float) -> Iterator[str]:
    """Yield lines of Markdown: one row for each way and case."""
    yield "| image | way | s per image | steps | TFLOP/s | of the ceiling | peak GiB |"
    yield "|---|---|---|---|---|---|---|"
    for (way, case), measured in sorted(results.items(), key=lambda item: str(item[0][1])):
        peak = "" if measured.peak_gib is None else f"{measured.peak_gib:.1f}"
        cells = [str(case), way, f"{measured.image_s:.3f}", f"{measured.denoise_s:.3f}"]
        cells += [f"{measured.tflops:.3g}", f"{measured.tflops / ceiling_tflops:.0%}", peak]
        yield f"| {' | '.join(cells)} |"


def distance_table(results: Results) -> Iterator[str]:
    """Yield lines of Markdown: the distance of each way's images from those of `exact`."""
    yield "| image | way | PSNR from exact, dB | largest difference, of 255 |"
    yield "|---|---|---|---|"
    for (way, case), measured in sorted(results.items(), key=lambda item: str(item[0][1])):
        exact = _alone(results, case)
        if exact is None or exact is measured:
            continue
        psnr, most = distance(measured.generated[:1], exact.generated[:1])
        yield f"| {case} | {way} | {'equal' if math.isinf(psnr) else f'{psnr:.1f}'} | {most} |"


def costs_table(costs: Sequence[tuple[str, float]]) -> Iterator[str]:
    """Yield lines of Markdown: the largest costs of a step."""
    yield "| of one exact step | share |"
    yield "|---|---|"
    for name, share in costs:
        yield f"| `{name[:80]}` | {share:.0%} |"


def _alone(results: Results, case: Case) -> Measured | None:
    """Return the measurement of the same image, generated exactly and alone."""
    return results.get(("exact", Case(case.width, case.height, case.content)))
