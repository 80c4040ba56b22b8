"""Device time of a row by its shape: measured if possible, else estimated from its arithmetic."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from pipelines.calibration.measurements import Machine
from pipelines.calibration.shapes import Shape
from uso_core.presets import EXACT, PRESETS, Preset, PresetName
from uso_core.protocol import Arithmetic

Basis = Literal["measured", "scaled", "stated"]
"""`measured`: from rows of this shape; `scaled`: from rows of the shape with the most similar
arithmetic; `stated`: from the figures of an H200."""

H200_MATMUL_FLOPS = 790e12
"""Per second, in bfloat16: measured with large matrices only, so an upper bound."""
H200_FLOAT8_FLOPS = 1450e12
"""Per second, for linear layers in float8: assumed, not measured. A row with content and style at
1024² takes 2.05 s at this rate, and 3.13 s at `H200_MATMUL_FLOPS`."""
STATED_EFFICIENCY = {False: 0.5, True: 0.7}
"""Share of that rate that a whole step is assumed to reach, by `model.compile`; not measured."""
STATED_BUSY = 0.95


@dataclass(frozen=True, slots=True)
class Speed:
    """The speed at which rows are generated.

    Attributes:
        model: arithmetic of the model.
        machine: measurements; None if there are none.
        compiled: `model.compile`.
        preset: `model.preset`.
    """

    model: Arithmetic
    machine: Machine | None
    compiled: bool = False
    preset: Preset = EXACT

    def seconds(self, shape: Shape) -> tuple[float, Basis]:
        """Return the device seconds for one row of this shape, and their basis."""
        if self.machine is None or not self.machine.shapes:
            return self._stated_seconds(shape), "stated"
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

    def _stated_seconds(self, shape: Shape) -> float:
        tokens = shape.tokens(self.model)
        linear_rate = H200_FLOAT8_FLOPS if self.linears_in_float8 else H200_MATMUL_FLOPS
        step_s = self.model.linear_flops(tokens) / linear_rate
        step_s += self.model.attention_flops(tokens) / H200_MATMUL_FLOPS
        return step_s * shape.steps * shape.images / STATED_EFFICIENCY[self.compiled]

    @property
    def linears_in_float8(self) -> bool:
        """True if the linear layers compute in float8, not only store their weights in it."""
        return self.preset.linears == "float8"

    @property
    def stated_as(self) -> PresetName | None:
        """The preset whose figures stand in for this preset; None if it has its own.

        The savings of a cache and the cost of moving or casting weights are unknown until measured.
        """
        computes = PRESETS["fp8"] if self.linears_in_float8 else EXACT
        return None if self.preset == computes else computes.name

    @property
    def busy(self) -> float:
        """Share of an actor's time that it spends on the device, above 0 and at most 1."""
        return STATED_BUSY if self.machine is None else max(self.machine.busy, 0.01)

    @property
    def startup_s(self) -> float | None:
        """Seconds until the first row is on a device; None if unknown."""
        return None if self.machine is None else self.machine.startup_s
