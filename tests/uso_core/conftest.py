from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache

import pytest
import torch

from tests.uso_core.goldens import CHECKPOINT, LIMITS, Case
from tests.uso_core.tracing import Trace, trace_case
from uso_core.loading.source import ModelSource
from uso_core.loading.weights import load_components
from uso_core.model.components import Components
from uso_core.pipeline import USOPipeline


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Use one thread: tiny models are slower on more."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def golden_components() -> Components:
    source = ModelSource(base=str(CHECKPOINT))
    components = load_components(source, dtype=torch.float32, device=torch.device("cpu"))
    return replace(components, limits=LIMITS)


@pytest.fixture(scope="session")
def golden_pipeline(golden_components: Components) -> USOPipeline:
    """Load the golden model without a cache, so that every case runs every encoder."""
    return USOPipeline(golden_components, cache_bytes=0)


@pytest.fixture(scope="session")
def traced(golden_pipeline: USOPipeline) -> Callable[[str], Trace]:
    """Return a golden case's trace by name; each case runs once."""
    return cache(lambda name: trace_case(golden_pipeline, Case(name)))
