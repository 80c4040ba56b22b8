from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from diffusers import FluxTransformer2DModel

from uso_core.components import Components, hoist_embedders, rotary_rows


@pytest.fixture
def transformer() -> FluxTransformer2DModel:
    torch.manual_seed(0)
    return FluxTransformer2DModel(
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=24,
        pooled_projection_dim=8,
        guidance_embeds=True,
        axes_dims_rope=(4, 6, 6),
    ).eval()


@torch.no_grad()
def test_hoisting_changes_no_bit(transformer: FluxTransformer2DModel) -> None:
    generator = torch.Generator().manual_seed(1)
    text_ids, image_ids = torch.zeros(5, 3), torch.randint(0, 9, (6, 3), generator=generator)
    text = torch.randn(1, 5, 24, generator=generator)
    inputs = {
        "hidden_states": torch.randn(1, 6, 64, generator=generator),
        "pooled_projections": torch.randn(1, 8, generator=generator),
        "timestep": torch.tensor([0.7]),
        "guidance": torch.tensor([4.0]),
        "return_dict": False,
    }
    plain = transformer(encoder_hidden_states=text, txt_ids=text_ids, img_ids=image_ids, **inputs)
    hoisted = deepcopy(transformer)
    context_embedder, pos_embed = hoist_embedders(hoisted)
    ours = hoisted(
        encoder_hidden_states=context_embedder(text),
        txt_ids=rotary_rows(pos_embed, text_ids),
        img_ids=rotary_rows(pos_embed, image_ids),
        **inputs,
    )
    assert torch.equal(ours[0], plain[0])


def test_embedders_are_taken_out_once(transformer: FluxTransformer2DModel) -> None:
    hoist_embedders(transformer)
    with pytest.raises(TypeError, match="taken out before"):
        hoist_embedders(transformer)


def test_dtype_and_device_are_the_transformers(golden_components: Components) -> None:
    assert golden_components.dtype == golden_components.transformer.dtype == torch.float32
    assert golden_components.device == torch.device("cpu")
