"""Seconds on a device for a shape: measured where it was drawn before, else from its arithmetic."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from pipelines.calibration.measurements import Machine
from pipelines.calibration.shapes import Shape
from uso_core.presets import EXACT, PRESETS, Preset, PresetName
from uso_core.protocol import Arithmetic

Basis = Literal["measured", "scaled", "stated"]
"""`measured`: this shape was drawn; `scaled`: from the nearest shape that was; `stated`: from an
H200's figures."""

H200_MATMUL_FLOPS = 790e12
"""Per second, bfloat16: measured for large matrices alone, so nothing is faster."""
H200_FLOAT8_FLOPS = 1450e12
"""Per second, of linear layers in float8: assumed, not measured. With it content and style at 1024²
take 2.05 s where `H200_MATMUL_FLOPS` gives 3.13 s."""
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
        preset: as configured.
    """

    model: Arithmetic
    machine: Machine | None
    compiled: bool = False
    preset: Preset = EXACT

    def seconds(self, shape: Shape) -> tuple[float, Basis]:
        """Device seconds for one row of this shape, and what they rest on."""
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
        """Whether the linear layers compute in float8, rather than only being kept in it."""
        return self.preset.linears == "float8"

    @property
    def stated_as(self) -> PresetName | None:
        """The preset whose seconds are stated in place of this one's; None: its own are.

        What a cache leaves out, and what moving or casting weights costs, is not known before it
        was measured.
        """
        computes = PRESETS["fp8"] if self.linears_in_float8 else EXACT
        return None if self.preset == computes else computes.name

    @property
    def busy(self) -> float:
        """Share of an actor's time in which it draws."""
        return STATED_BUSY if self.machine is None else max(self.machine.busy, 0.01)

    @property
    def startup_s(self) -> float | None:
        """Until the first row is drawn, in seconds; None: not known."""
        return None if self.machine is None else self.machine.startup_s
