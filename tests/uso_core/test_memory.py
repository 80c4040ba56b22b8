from __future__ import annotations

from pathlib import Path

import torch

from uso_core.checkpoint import ModelSource
from uso_core.components import Components
from uso_core.memory import weights_bytes
from uso_core.tiny import write_tiny_checkpoint
from uso_core.weights import load_components


def loaded_bytes(components: Components) -> int:
    modules = [
        components.transformer,
        components.context_embedder,
        components.vae,
        components.style_projector,
        components.text_encoder,
        components.text_encoder_2,
        components.image_encoder,
    ]
    return sum(p.numel() * p.element_size() for module in modules for p in module.parameters())


def test_it_is_what_the_loaded_weights_take(tmp_path: Path) -> None:
    dtype = torch.bfloat16
    write_tiny_checkpoint(tmp_path, seed=0)
    source = ModelSource(str(tmp_path))
    found = weights_bytes(source, dtype)
    loaded = loaded_bytes(load_components(source, dtype=dtype, device=torch.device("cpu")))
    assert loaded <= found <= 1.2 * loaded


def test_a_tiny_model_fits_anywhere() -> None:
    assert weights_bytes(ModelSource("tiny:3"), torch.bfloat16) == 0
