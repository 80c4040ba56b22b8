"""What was measured, as it stands in docs/benchmarks.md."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from benchmarks.engine.cases import Case, WayName
from benchmarks.engine.measure import Measured, distance

Results = Mapping[tuple[WayName, Case], Measured]


def speed_table(results: Results, ceiling_tflops: float) -> Iterator[str]:
    """Lines of Markdown: one row for each way and case."""
    yield "| picture | way | s per image | steps | TFLOP/s | of the ceiling | peak GiB |"
    yield "|---|---|---|---|---|---|---|"
    for (way, case), got in sorted(results.items(), key=lambda item: str(item[0][1])):
        peak = "" if got.peak_gib is None else f"{got.peak_gib:.1f}"
        cells = [str(case), way, f"{got.image_s:.3f}", f"{got.denoise_s:.3f}"]
        cells += [f"{got.tflops:.3g}", f"{got.tflops / ceiling_tflops:.0%}", peak]
        yield f"| {' | '.join(cells)} |"


def distance_table(results: Results) -> Iterator[str]:
    """Lines of Markdown: how far each way's pictures are from those of `exact`."""
    yield "| picture | way | PSNR from exact, dB | largest difference, of 255 |"
    yield "|---|---|---|---|"
    for (way, case), got in sorted(results.items(), key=lambda item: str(item[0][1])):
        exact = _alone(results, case)
        if exact is None or exact is got:
            continue
        psnr, most = distance(got.pictures[:1], exact.pictures[:1])
        yield f"| {case} | {way} | {'equal' if math.isinf(psnr) else f'{psnr:.1f}'} | {most} |"


def costs_table(costs: Sequence[tuple[str, float]]) -> Iterator[str]:
    """Lines of Markdown: what takes most of a step."""
    yield "| of one exact step | share |"
    yield "|---|---|"
    for name, share in costs:
        yield f"| `{name[:80]}` | {share:.0%} |"


def _alone(results: Results, case: Case) -> Measured | None:
    """The same picture, drawn exactly and alone."""
    return results.get(("exact", Case(case.width, case.height, case.content)))
