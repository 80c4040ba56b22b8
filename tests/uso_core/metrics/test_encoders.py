"""CLIP and DINO give what transformers' own models give."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import CLIPModel, ViTModel

from tests.uso_core.metrics.networks import Shown
from uso_core.errors import CheckpointError
from uso_core.metrics.embedding import cosine
from uso_core.metrics.encoders import CLIP_CROP, DINO_CROP, Clip, clip_vision, dino
from uso_core.metrics.pixels import Crop
from uso_core.metrics.weights import CLIP_B32, CLIP_L14, DINO_S16

CPU = torch.device("cpu")


def small(usual: Crop) -> Crop:
    """The crop for an image of 32 pixels."""
    return Crop(usual.resize * 32 // 224, 32, usual.mean, usual.std)


@torch.inference_mode()
def test_clip_i_is_the_cosine_of_the_projected_class_tokens(
    files: Path, pictures: list[Shown]
) -> None:
    model = CLIPModel.from_pretrained(files / "clip").eval()
    pixels = torch.stack([small(CLIP_CROP)(each.image) for each in pictures])
    hidden = model.vision_model(pixel_values=pixels).last_hidden_state[:, 0]
    weights = model.vision_model.post_layernorm(hidden) @ model.visual_projection.weight.T
    expected = weights / weights.norm(dim=1, keepdim=True)
    ours = Clip(CLIP_B32.on_disk(str(files / "clip")), CPU).images(pictures)
    for at in range(4):
        assert cosine(ours[0], ours[at]) == pytest.approx(
            float(expected[0] @ expected[at]), abs=1e-5
        )
    alone = clip_vision(CLIP_L14.on_disk(str(files / "clip")), CPU)(pictures)
    assert torch.allclose(torch.stack(alone), torch.stack(ours), atol=1e-5)


@torch.inference_mode()
def test_a_prompt_is_read_up_to_its_end_and_cut_at_77_tokens(files: Path) -> None:
    model = CLIPModel.from_pretrained(files / "clip").eval()
    clip = Clip(CLIP_B32.on_disk(str(files / "clip")), CPU)
    vocabulary = json.loads((files / "clip/vocab.json").read_text())
    cat = [vocabulary["a</w>"], vocabulary["cat</w>"]]
    for prompt, tokens in (("A  cat", [5, *cat, 6]), ("a cat " * 60, [5, *(cat * 60)[:75], 6])):
        states = model.text_model(input_ids=torch.tensor([tokens])).last_hidden_state
        expected = states[0, len(tokens) - 1] @ model.text_projection.weight.T
        assert torch.allclose(clip.text(prompt), expected, atol=1e-5)


@torch.inference_mode()
def test_dino_is_the_class_token_after_the_last_norm(files: Path, pictures: list[Shown]) -> None:
    model = ViTModel.from_pretrained(files / "dino", add_pooling_layer=False).eval()
    pixels = torch.stack([small(DINO_CROP)(each.image) for each in pictures])
    states = model(pixel_values=pixels, output_hidden_states=True).hidden_states[-1][:, 0]
    expected = model.layernorm(states)
    ours = dino(DINO_S16.on_disk(str(files / "dino")), CPU)(pictures)
    assert torch.allclose(torch.stack(ours), expected, atol=1e-5)
    assert cosine(ours[0], ours[1]) < 0.9999


def test_weights_that_lack_a_tensor_are_refused(files: Path, tmp_path: Path) -> None:
    broken = tmp_path / "dino"
    shutil.copytree(files / "dino", broken)
    tensors = load_file(broken / "model.safetensors")
    lost = next(name for name in tensors if name.endswith("layernorm.weight"))
    save_file(
        {name: t for name, t in tensors.items() if name != lost}, broken / "model.safetensors"
    )
    with pytest.raises(CheckpointError, match=r"layernorm\.weight.*docs/scores\.md"):
        dino(DINO_S16.on_disk(str(broken)), CPU)


def test_a_file_that_is_cut_off_is_refused(files: Path, tmp_path: Path) -> None:
    broken = tmp_path / "clip"
    shutil.copytree(files / "clip", broken)
    file = broken / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="cannot be read"):
        Clip(CLIP_B32.on_disk(str(broken)), CPU)


def test_loading_prints_nothing(files: Path, capfd: pytest.CaptureFixture[str]) -> None:
    clip_vision(CLIP_L14.on_disk(str(files / "clip")), CPU)
    dino(DINO_S16.on_disk(str(files / "dino")), CPU)
    printed = capfd.readouterr()
    assert printed.out == printed.err == ""
