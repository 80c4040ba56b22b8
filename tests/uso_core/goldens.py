"""Access to `tests/goldens`: the original's values for the tiny checkpoint there."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from safetensors.torch import load_file

from uso_core.request import Limits, StylizeRequest

GOLDENS = Path(__file__).parents[1] / "goldens"
CHECKPOINT = GOLDENS / "tiny"
LIMITS = Limits(min_size=16)
"""The original accepts any size; the goldens start at 16 pixels."""


@dataclass(frozen=True)
class Case:
    """One request that was run through the original, with every intermediate result."""

    name: str

    @cached_property
    def facts(self) -> dict[str, Any]:
        facts: dict[str, Any] = json.loads((GOLDENS / "cases" / f"{self.name}.json").read_text())
        return facts

    @cached_property
    def tensors(self) -> dict[str, torch.Tensor]:
        return load_file(GOLDENS / "cases" / f"{self.name}.safetensors")

    @property
    def has_content(self) -> bool:
        return "content" in self.facts["images"]

    @property
    def num_styles(self) -> int:
        return int(self.facts["n_style"])

    def request(self) -> StylizeRequest:
        facts = self.facts
        # Sizes off the grid are rejected here; the original rounded them down.
        size = {} if facts["keep_size"] else {s: facts[s] for s in ("width", "height")}
        return StylizeRequest(
            prompt=facts["prompt"],
            content_image=self._image("content") if self.has_content else None,
            style_images=[self._image(f"style{i}") for i in range(self.num_styles)],
            num_steps=facts["num_steps"],
            guidance=facts["guidance"],
            seed=facts["seed"],
            keep_size=facts["keep_size"],
            content_long_size=facts["content_long_size"],
            **size,
        )

    def _image(self, role: str) -> Image.Image:
        return Image.open(GOLDENS / "cases" / self.facts["images"][role]["file"])


def case_names(dtype: str = "float32") -> list[str]:
    index = json.loads((GOLDENS / "cases" / "index.json").read_text())
    return [case["name"] for case in index if case["dtype"] == dtype]


def unit_rows(name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads((GOLDENS / "units" / f"{name}.json").read_text())
    return rows


def unit_tensors(name: str) -> dict[str, torch.Tensor]:
    return load_file(GOLDENS / "units" / f"{name}.safetensors")
