from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.uso_core.checkpoints import (
    CPU,
    DOWNLOADED,
    edit_json,
    edit_tensors,
    link_checkpoint,
    load,
    states,
)
from tests.uso_core.goldens import CHECKPOINT
from uso_core.errors import CheckpointError
from uso_core.loading.source import ModelSource
from uso_core.model.components import Components

Tensors = dict[str, torch.Tensor]

WEIGHTS = {
    "flux1-dev.safetensors": "single_blocks.1.linear1.weight",
    "dit_lora.safetensors": "single_blocks.1.processor.proj_lora.up.weight",
    "projector.safetensors": "feature_embedder.mid_projection.weight",
    "ae.safetensors": "decoder.mid.attn_1.q.weight",
    "t5/model.safetensors": "encoder.block.1.layer.0.SelfAttention.q.weight",
    "clip/model.safetensors": "text_model.encoder.layers.1.mlp.fc1.weight",
    "siglip/model.safetensors": "vision_model.encoder.layers.3.mlp.fc1.weight",
}
"""Every weight file, with one of its keys."""


def assert_same(loaded: Components, expected: Components) -> None:
    ours, theirs = states(loaded), states(expected)
    assert ours.keys() == theirs.keys()
    assert [key for key in ours if not torch.equal(ours[key], theirs[key])] == []


def test_modules_are_ready_to_generate(golden_components: Components) -> None:
    tensors = states(golden_components)
    assert {tensor.device for tensor in tensors.values()} == {CPU}
    assert not any(tensor.requires_grad for tensor in tensors.values())
    assert not golden_components.transformer.training
    assert not golden_components.text_encoder_2.training


def test_bfloat16_is_for_the_big_models_alone() -> None:
    components = load(CHECKPOINT, torch.bfloat16)
    dtypes = {
        name: {tensor.dtype for tensor in getattr(components, name).parameters()}
        for name in (
            "transformer",
            "context_embedder",
            "text_encoder",
            "text_encoder_2",
            "vae",
            "image_encoder",
            "style_projector",
        )
    }
    assert dtypes == {
        "transformer": {torch.bfloat16},
        "context_embedder": {torch.bfloat16},
        "text_encoder": {torch.bfloat16},
        "text_encoder_2": {torch.bfloat16},
        "vae": {torch.float32},
        "image_encoder": {torch.float32},
        "style_projector": {torch.float32},
    }


def test_bfloat16_is_rounded_from_the_merged_float32(golden_components: Components) -> None:
    name = "single_transformer_blocks.0.attn.to_q.weight"
    exact = golden_components.transformer.state_dict()[name]
    rounded = load(CHECKPOINT, torch.bfloat16).transformer.state_dict()[name]
    assert torch.equal(rounded, exact.bfloat16())


def test_lora_is_merged(golden_components: Components) -> None:
    base = load_file(CHECKPOINT / "flux1-dev.safetensors")["single_blocks.2.linear2.weight"]
    lora = load_file(CHECKPOINT / "dit_lora.safetensors")
    stem = "single_blocks.2.processor.proj_lora"
    merged = base + lora[f"{stem}.up.weight"] @ lora[f"{stem}.down.weight"]
    loaded = golden_components.transformer.single_transformer_blocks[2].proj_out.weight
    torch.testing.assert_close(loaded, merged, rtol=0, atol=1e-6)
    assert (loaded - base).abs().max() > 0.01


def test_embedding_table_of_t5_is_one_tensor(golden_components: Components) -> None:
    t5 = golden_components.text_encoder_2
    assert t5.encoder.embed_tokens.weight is t5.shared.weight


def test_the_loaded_model_does_not_follow_its_file(tmp_path: Path) -> None:
    folder = link_checkpoint(tmp_path)
    path = folder / "projector.safetensors"
    edit_tensors(path, lambda tensors: None)
    loaded = load(folder)
    before = {key: tensor.clone() for key, tensor in states(loaded).items()}
    path.write_bytes(path.read_bytes()[:1000] + bytes(path.stat().st_size - 1000))
    assert all(torch.equal(tensor, before[key]) for key, tensor in states(loaded).items())


def test_original_downloaders_folders(tmp_path: Path, golden_components: Components) -> None:
    folder = link_checkpoint(tmp_path, DOWNLOADED)
    assert_same(load(folder), golden_components)


def test_text_encoders_from_whole_pickled_models(
    tmp_path: Path, golden_components: Components
) -> None:
    """Load files in the form of google/t5-v1_1-xxl and openai/clip-vit-large-patch14."""
    folder = link_checkpoint(tmp_path)
    beside = {
        "t5": ("decoder.embed_tokens.weight", "lm_head.weight"),
        "clip": ("text_model.embeddings.position_ids", "vision_model.embeddings.position_ids"),
    }
    for encoder, keys in beside.items():
        path = folder / encoder / "model.safetensors"
        tensors = load_file(path) | {key: torch.zeros(2, 3) for key in keys}
        if encoder == "t5":
            tensors["encoder.embed_tokens.weight"] = tensors["shared.weight"].clone()
        path.unlink()
        torch.save(tensors, folder / encoder / "pytorch_model.bin")
    assert_same(load(folder), golden_components)


def test_the_two_tables_of_t5_must_be_the_same(tmp_path: Path) -> None:
    def edit(tensors: Tensors) -> None:
        table = tensors["shared.weight"].clone()
        table[7, 3] += 1
        tensors["encoder.embed_tokens.weight"] = table

    folder = link_checkpoint(tmp_path)
    path = folder / "t5" / "model.safetensors"
    edit_tensors(path, edit)
    with pytest.raises(
        CheckpointError, match=r"embed_tokens\.weight differs from shared"
    ) as caught:
        load(folder)
    assert caught.value.path == str(path)


@pytest.mark.parametrize("layout", ["split_files", "."])
def test_repackaged_uso_files(tmp_path: Path, golden_components: Components, layout: str) -> None:
    names = {
        "dit_lora.safetensors": f"{layout}/loras/uso-flux1-dit-lora-v1.safetensors",
        "projector.safetensors": f"{layout}/model_patches/uso-flux1-projector-v1.safetensors",
    }
    everything = link_checkpoint(tmp_path / "all", names)
    base = link_checkpoint(tmp_path / "base")
    for name in names:
        (base / name).unlink()
    source = ModelSource(str(base), uso=str(everything))
    assert_same(load(source), golden_components)


def spoil(tensors: Tensors, missing: str) -> None:
    """Remove one key, change the shape of the next, and add one."""
    keys = sorted(tensors)
    misshapen = keys[keys.index(missing) - 1]
    del tensors[missing]
    tensors[misshapen] = torch.zeros(3, 5, 7)
    tensors["unheard.of"] = torch.zeros(1)


@pytest.mark.parametrize(("file", "key"), WEIGHTS.items())
def test_every_key_must_match(tmp_path: Path, file: str, key: str) -> None:
    folder = link_checkpoint(tmp_path)
    edit_tensors(folder / file, lambda tensors: spoil(tensors, key))
    with pytest.raises(CheckpointError) as caught:
        load(folder)
    assert caught.value.path == str(folder / file)
    assert f"missing: {key}; unknown: unheard.of; of the wrong shape: " in caught.value.reason
    assert " is [3, 5, 7], expected [" in caught.value.reason


@pytest.mark.parametrize(("file", "key"), WEIGHTS.items())
def test_whole_numbers_are_not_weights(tmp_path: Path, file: str, key: str) -> None:
    folder = link_checkpoint(tmp_path)
    edit_tensors(folder / file, lambda tensors: tensors.update({key: tensors[key].char()}))
    with pytest.raises(CheckpointError, match=rf"{key} holds int8; quantized files") as caught:
        load(folder)
    assert caught.value.path == str(folder / file)


@pytest.mark.parametrize("file", WEIGHTS)
def test_a_file_cut_short_is_an_error(tmp_path: Path, file: str) -> None:
    folder = link_checkpoint(tmp_path)
    path = folder / file
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data[:-10])
    with pytest.raises(CheckpointError) as caught:
        load(folder)
    assert caught.value.path == str(path)


def test_settings_and_files_must_agree(tmp_path: Path) -> None:
    """Assume FLUX.1-dev's settings for the original's files without settings."""
    folder = link_checkpoint(tmp_path)
    (folder / "config.json").unlink()
    with pytest.raises(CheckpointError, match=r"flux1-dev.*img_in\.weight is \[64, 64\], expected"):
        load(folder)


@pytest.mark.parametrize(
    ("file", "values", "reason"),
    [
        ("config.json", {"flux_params": None}, "lacks flux_params"),
        ("config.json", {"flux_params": {"depth": 2}}, "flux_params lacks 'in_channels'"),
        ("config.json", {"flux_params": {"theta": 2000}}, "theta is 2000; only 10000"),
        ("config.json", {"ae_params": {"ch": 32}}, "ae_params lacks 'ch_mult'"),
        ("t5/config.json", {"model_type": "bert"}, "model_type is 'bert'; t5 is needed"),
        ("clip/config.json", {"model_type": None}, "model_type is None; clip is needed"),
        ("siglip/config.json", {"model_type": "clip"}, "siglip is needed"),
    ],
)
def test_a_wrong_config_is_an_error(
    tmp_path: Path, file: str, values: dict[str, object], reason: str
) -> None:
    folder = link_checkpoint(tmp_path)
    edit_json(folder / file, **values)
    with pytest.raises(CheckpointError) as caught:
        load(folder)
    assert caught.value.path == str(folder / file)
    assert reason in caught.value.reason


@pytest.mark.parametrize(
    "file",
    [
        "config.json",
        "t5/config.json",
        "t5/spiece.model",
        "t5/tokenizer_config.json",
        "clip/vocab.json",
        "clip/merges.txt",
        "clip/config.json",
        "siglip/config.json",
        "siglip/preprocessor_config.json",
    ],
)
def test_a_garbled_small_file_is_an_error(tmp_path: Path, file: str) -> None:
    folder = link_checkpoint(tmp_path)
    path = folder / file
    path.unlink()
    path.write_bytes(b"\xffnot what it was")
    with pytest.raises(CheckpointError) as caught:
        load(folder)
    assert caught.value.path in {str(path), str(path.parent)}


def test_threads_load_at_the_same_time() -> None:
    together = threading.Barrier(3)

    def load_with_the_others(_: int) -> Components:
        together.wait()
        return load(CHECKPOINT)

    with ThreadPoolExecutor(3) as threads:
        first, *others = threads.map(load_with_the_others, range(3))
    for other in others:
        assert_same(other, first)
