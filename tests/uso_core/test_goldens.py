"""Every intermediate result of every case matches the original's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.uso_core.golden_checks import CHECKS
from tests.uso_core.goldens import CHECKPOINT, LIMITS, Case, case_names
from tests.uso_core.tracing import Trace, trace_case
from uso_core.loading.source import ModelSource
from uso_core.loading.weights import load_components
from uso_core.pipeline import USOPipeline


@pytest.mark.parametrize("stage", CHECKS)
@pytest.mark.parametrize("name", case_names())
def test_case(name: str, stage: str, traced: Callable[[str], Trace]) -> None:
    case = Case(name)
    trace = traced(name)
    assert tuple(trace.prepared.size) == (case.facts["width"], case.facts["height"])
    CHECKS[stage](case, trace)


def test_all_cases_are_there() -> None:
    assert len(case_names()) == 22


def test_bfloat16_generates_nearly_the_same() -> None:
    """Use the original's dtypes on other kernels: close, not equal."""
    case = Case(case_names("bfloat16")[0])
    source = ModelSource(base=str(CHECKPOINT))
    components = load_components(source, dtype=torch.bfloat16, device=torch.device("cpu"))
    trace = trace_case(USOPipeline(replace(components, limits=LIMITS), cache_bytes=0), case)
    assert trace.latents.tokens.dtype == torch.bfloat16
    off = (trace.latents.tokens.float() - case.tensors["latents"][-1].float()).abs()
    assert off.max() < 0.1
    assert off.mean() < 0.02
    levels = np.asarray(trace.image).astype(int) - case.tensors["image"].numpy().astype(int)
    assert np.abs(levels).mean() < 2
