"""Seconds on a device for a shape: measured where it was drawn before, else from its arithmetic."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from pipelines.planning.calibration import Machine
from pipelines.planning.shapes import Shape
from uso_core.dimensions import Dimensions

Basis = Literal["measured", "scaled", "stated"]
"""`measured`: this shape was drawn; `scaled`: from the nearest shape that was; `stated`: from an
H200's figures."""

H200_MATMUL_FLOPS = 790e12
"""Per second, bfloat16: measured for large matrices alone, so nothing is faster."""
STATED_EFFICIENCY = {False: 0.5, True: 0.7}
"""Share of it that a whole step is assumed to reach, by `model.compile`; not measured."""
STATED_BUSY = 0.95


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast rows are drawn.

    Attributes:
        model: dimensions of it.
        machine: what was measured; None: nothing was.
        compiled: as configured.
    """

    model: Dimensions
    machine: Machine | None
    compiled: bool = False

    def seconds(self, shape: Shape) -> tuple[float, Basis]:
        """Device seconds for one row of this shape, and what they rest on."""
        if self.machine is None or not self.machine.shapes:
            rate = H200_MATMUL_FLOPS * STATED_EFFICIENCY[self.compiled]
            return shape.flops(self.model) / rate, "stated"
        flops = shape.flops(self.model)
        nearest = min(
            self.machine.shapes,
            key=lambda time: (
                time.shape != shape,
                abs(math.log(time.shape.flops(self.model) / flops)),
            ),
        )
        if nearest.shape == shape:
            return nearest.seconds, "measured"
        return nearest.seconds * flops / nearest.shape.flops(self.model), "scaled"

    @property
    def busy(self) -> float:
        """Share of an actor's time in which it draws."""
        return STATED_BUSY if self.machine is None else max(self.machine.busy, 0.01)

    @property
    def startup_s(self) -> float | None:
        """Until the first row is drawn, in seconds; None: not known."""
        return None if self.machine is None else self.machine.startup_s
