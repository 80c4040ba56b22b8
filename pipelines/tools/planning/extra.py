"""The most that further tries of rows can cost, see `best_of`."""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.config.best_of import BestOfConfig
from pipelines.tools.planning.plan import Plan


@dataclass(frozen=True, slots=True)
class ExtraTries:
    """The worst case, in which no row is good enough before its last try.

    Attributes:
        images: images beyond the first tries. Recorded rows count with one image each.
        device_s: seconds on all devices together; None: unknown.
        flops: floating-point operations of the denoising.
    """

    images: int
    device_s: float | None
    flops: float


def extra_tries(plan: Plan, best_of: BestOfConfig) -> ExtraTries:
    """Return the worst case of a run's further tries, at the mean cost of its images."""
    work = plan.work
    images = (best_of.n - 1) * (work.images + work.skipped)
    if best_of.max_extra is not None:
        images = min(images, best_of.max_extra)
    share = images / work.images if work.images else None
    device_s = None if share is None or plan.device_s is None else share * plan.device_s
    return ExtraTries(images, device_s, (share or 0.0) * plan.flops)
