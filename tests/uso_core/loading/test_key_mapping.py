from __future__ import annotations

import json
from collections.abc import Iterable

import pytest
import torch
from diffusers import AutoencoderKL, FluxTransformer2DModel

from tests.uso_core.goldens import GOLDENS
from uso_core.loading.key_mapping import Rule, transformer_rules, vae_rules
from uso_core.loading.lora import lora_shapes
from uso_core.loading.model_configs import FLUX_DEV, transformer_arguments, vae_arguments
from uso_core.loading.strict_load import file_shapes, shapes_of
from uso_core.loading.tensor_files import Shape
from uso_core.model.style_projector import StyleProjector


def real_keys(name: str) -> dict[str, Shape]:
    """Return the keys and shapes of a released file."""
    text = (GOLDENS / "units" / f"real_keys_{name}.json").read_text()
    return {key: tuple(shape) for key, shape in json.loads(text).items()}


def targets(rules: Iterable[Rule]) -> list[str]:
    return sorted(target for rule in rules for target in rule.targets)


@pytest.fixture(scope="module")
def flux_dev() -> dict[str, Shape]:
    """Return the shapes of FLUX.1-dev's transformer in diffusers, without its 24 GB."""
    arguments = transformer_arguments(FLUX_DEV["flux_params"] | {"guidance_embed": True})
    with torch.device("meta"):
        return shapes_of(FluxTransformer2DModel(**arguments))


def test_real_transformer_maps_onto_diffusers(flux_dev: dict[str, Shape]) -> None:
    rules = transformer_rules(19, 38, guidance=True)
    assert file_shapes(rules, flux_dev) == real_keys("transformer")
    assert targets(rules) == sorted(flux_dev)


def test_schnell_has_no_guidance_embedder() -> None:
    dev, schnell = (transformer_rules(19, 38, guidance=guidance) for guidance in (True, False))
    assert {rule.source for rule in dev} - {rule.source for rule in schnell} == {
        f"guidance_in.{layer}.{kind}"
        for layer in ("in_layer", "out_layer")
        for kind in ("weight", "bias")
    }


def test_real_lora_maps_onto_diffusers(flux_dev: dict[str, Shape]) -> None:
    assert lora_shapes(flux_dev, 128) == real_keys("lora_rank128")


def test_real_autoencoder_maps_onto_diffusers() -> None:
    with torch.device("meta"):
        shapes = shapes_of(AutoencoderKL(**vae_arguments(FLUX_DEV["ae_params"])))
    rules = vae_rules(shapes)
    assert file_shapes(rules, shapes) == real_keys("ae")
    assert targets(rules) == sorted(shapes)


def test_real_projector_has_our_modules_names() -> None:
    with torch.device("meta"):
        projector: StyleProjector = StyleProjector()
    assert shapes_of(projector) == real_keys("projector")
