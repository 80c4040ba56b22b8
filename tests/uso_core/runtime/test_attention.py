from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from torch.nn.attention import SDPBackend, _cur_sdpa_kernel_backends

from tests.uso_core.test_pipeline import generate, make_request
from uso_core.model.components import Components
from uso_core.pipeline import USOPipeline
from uso_core.runtime.attention import best_attention, use_attention

CPU = torch.device("cpu")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_without_a_gpu_torch_chooses(dtype: torch.dtype) -> None:
    assert best_attention(dtype, CPU) == "sdpa"


def test_sdpa_is_the_default(golden_components: Components) -> None:
    transformer = deepcopy(golden_components.transformer)
    use_attention(transformer, "auto", CPU)
    ours = USOPipeline(replace(golden_components, transformer=transformer))
    requests = [make_request(3)]
    assert generate(ours, requests) == generate(USOPipeline(golden_components), requests)


def test_cudnn_comes_first_and_other_kernels_do_the_rest(
    golden_components: Components,
) -> None:
    """Cover the VAE's float32 attention, which decodes one image beside the next row."""
    transformer = deepcopy(golden_components.transformer)
    use_attention(transformer, "cudnn", CPU)
    first, *others = _cur_sdpa_kernel_backends(with_priority=True)
    assert first == SDPBackend.CUDNN_ATTENTION
    assert {SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION} <= set(others)
    ours = USOPipeline(replace(golden_components, transformer=transformer))
    requests = [make_request(3)]
    assert generate(ours, requests) == generate(USOPipeline(golden_components), requests)


def test_a_kernel_whose_package_is_missing_is_refused_by_name(
    golden_components: Components,
) -> None:
    with pytest.raises(RuntimeError, match="pip install kernels"):
        use_attention(deepcopy(golden_components.transformer), "flash_3", CPU)
