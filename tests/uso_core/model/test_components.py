from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from diffusers import FluxTransformer2DModel

from uso_core.model.components import Components
from uso_core.model.hoisting import hoist_embedders, rotary_rows, step_embeddings


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
    pooled, sigmas = torch.randn(1, 8, generator=generator), torch.tensor([0.7])
    inputs = {
        "hidden_states": torch.randn(1, 6, 64, generator=generator),
        "timestep": sigmas,
        "return_dict": False,
    }
    plain = transformer(
        encoder_hidden_states=text,
        txt_ids=text_ids,
        img_ids=image_ids,
        pooled_projections=pooled,
        guidance=torch.tensor([4.0]),
        **inputs,
    )
    hoisted = deepcopy(transformer)
    context_embedder, pos_embed, time_text_embed = hoist_embedders(hoisted)
    ours = hoisted(
        encoder_hidden_states=context_embedder(text),
        txt_ids=rotary_rows(pos_embed, text_ids),
        img_ids=rotary_rows(pos_embed, image_ids),
        pooled_projections=step_embeddings(time_text_embed, sigmas, torch.tensor([4.0]), pooled)[0],
        **inputs,
    )
    assert torch.equal(ours[0], plain[0])


@torch.no_grad()
def test_embeddings_of_all_steps_are_those_of_each(transformer: FluxTransformer2DModel) -> None:
    *_, time_text_embed = hoist_embedders(transformer)
    sigmas, guidance = torch.linspace(1, 0.04, 25), torch.tensor([3.5, 1.0])
    pooled = torch.stack([torch.ones(8), torch.arange(8.0)])
    together = step_embeddings(time_text_embed, sigmas, guidance, pooled)
    assert together.shape == (25, 2, 32)
    for step, sigma in enumerate(sigmas):
        for i in range(2):
            apart = step_embeddings(
                time_text_embed, sigma[None], guidance[i : i + 1], pooled[i : i + 1]
            )
            torch.testing.assert_close(together[step, i], apart[0, 0], rtol=0, atol=1e-5)


def test_embedders_are_taken_out_once(transformer: FluxTransformer2DModel) -> None:
    hoist_embedders(transformer)
    with pytest.raises(TypeError, match="already been taken out"):
        hoist_embedders(transformer)


def test_dtype_and_device_are_the_transformers(golden_components: Components) -> None:
    assert golden_components.dtype == golden_components.transformer.dtype == torch.float32
    assert golden_components.device == torch.device("cpu")
