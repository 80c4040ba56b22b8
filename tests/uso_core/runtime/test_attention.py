from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from torch.nn.attention import SDPBackend, _cur_sdpa_kernel_backends

from tests.uso_core.test_pipeline import draw, make_request
from uso_core.model.components import Components
from uso_core.pipeline import USOPipeline
from uso_core.runtime.attention import best_attention, use_attention

CPU = torch.device("cpu")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_without_a_gpu_torch_chooses(dtype: torch.dtype) -> None:
    assert best_attention(dtype, CPU) == "sdpa"


def test_sdpa_is_what_there_is_already(golden_components: Components) -> None:
    transformer = deepcopy(golden_components.transformer)
    use_attention(transformer, "auto", CPU)
    ours = USOPipeline(replace(golden_components, transformer=transformer))
    requests = [make_request(3)]
    assert draw(ours, requests) == draw(USOPipeline(golden_components), requests)


def test_cudnn_comes_first_and_what_it_cannot_do_other_kernels_do(
    golden_components: Components,
) -> None:
    """As the VAE's attention in float32, of a picture that is decoded beside the next."""
    transformer = deepcopy(golden_components.transformer)
    use_attention(transformer, "cudnn", CPU)
    first, *others = _cur_sdpa_kernel_backends(with_priority=True)
    assert first == SDPBackend.CUDNN_ATTENTION
    assert {SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION} <= set(others)
    ours = USOPipeline(replace(golden_components, transformer=transformer))
    requests = [make_request(3)]
    assert draw(ours, requests) == draw(USOPipeline(golden_components), requests)


def test_a_kernel_whose_package_is_missing_is_refused_by_name(
    golden_components: Components,
) -> None:
    with pytest.raises(RuntimeError, match="pip install kernels"):
        use_attention(deepcopy(golden_components.transformer), "flash_3", CPU)
