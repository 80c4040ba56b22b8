"""Places where the host would wait for a GPU, found on a CPU by intercepting reads of values.

`test_cuda.py` covers the rest on a GPU.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from tests.uso_core.goldens import CHECKPOINT, LIMITS
from tests.uso_core.test_pipeline import make_request
from uso_core.model.schedule import make_scheduler
from uso_core.model.sizes import Size
from uso_core.pipeline import USOPipeline

LOOKING = ("_local_scalar_dense", "nonzero", "masked_select", "equal.default", "unique")


class Looks(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's are not typed
    """Counts the operations that read a tensor's value, or a shape that depends on values."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        self.count += any(name in str(func) for name in LOOKING)
        return func(*args, **(kwargs or {}))


def looks(work: Callable[[], object]) -> int:
    seen = Looks()
    with seen:
        work()
    return seen.count


def tiny() -> USOPipeline:
    pipeline = USOPipeline.from_original(str(CHECKPOINT), dtype=torch.float32, device="cpu")
    return USOPipeline(replace(pipeline.components, limits=LIMITS))


def test_no_stage_looks_at_a_value() -> None:
    pipeline = tiny()
    prepared = pipeline.prepare(replace(make_request(3), num_steps=2))
    assert looks(lambda: pipeline.condition(prepared)) == 0
    conditioning = pipeline.condition(prepared)
    on_the_host = looks(lambda: make_scheduler(2, Size(32, 32), torch.device("cpu")))
    assert looks(lambda: pipeline.denoise(conditioning, 0)) == on_the_host
    latents = pipeline.denoise(conditioning, 0)
    assert looks(lambda: pipeline.decode_pixels(latents)) == 0


def test_a_model_that_looks_is_found() -> None:
    pipeline = tiny()
    prepared = pipeline.prepare(make_request(3))

    def look(_: nn.Module, args: Any, output: Any) -> None:
        assert output.last_hidden_state.isfinite().all()

    pipeline.components.text_encoder_2.register_forward_hook(look)
    assert looks(lambda: pipeline.condition(prepared)) == 1
