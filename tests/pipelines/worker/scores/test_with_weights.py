"""Scores with weights: from the configuration to numbers, on tiny networks in the real formats."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from transformers import CLIPModel, CLIPTokenizer, ViTModel

from pipelines.errors import ConfigError
from pipelines.worker.scores import with_weights
from pipelines.worker.scores.picture import Picture
from pipelines.worker.scores.plugin import Scores
from pipelines.worker.scores.registry import ChosenScorer, chosen_scorers
from pipelines.worker.scores.scorer import Seen
from tests.fresh_interpreter import loaded_after
from tests.uso_core.metrics import networks
from uso_core.errors import NoSuchDeviceError
from uso_core.metrics.csd import csd
from uso_core.metrics.embedding import cosine
from uso_core.metrics.encoders import CLIP_CROP, DINO_CROP
from uso_core.metrics.pixels import Crop
from uso_core.metrics.weights import CSD

OURS, CONTENT = networks.picture(1), networks.picture(2, 50, 91)
STYLES = (networks.picture(3, 128, 64), networks.picture(4, 33, 32))
PROMPT = "a cat in snow"


@pytest.fixture(scope="module")
def section(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """The section `scores` of a configuration with all of them."""
    folder = tmp_path_factory.mktemp("networks")
    clip, dino, style = folder / "clip", folder / "dino", folder / "csd.pth"
    vgg, head = folder / "vgg19-dcbb9e9d.pth", folder / "head.pth"
    networks.save_clip(clip)
    networks.save_dino(dino)
    networks.save_csd(style, networks.csd_tensors())
    torch.save(networks.vgg_tensors(), vgg)
    torch.save(networks.head_tensors(), head)
    return {
        "csd": {"weights": str(style)},
        "gram": {"weights": str(vgg)},
        "dino": {"weights": str(dino)},
        "clip_i": {"weights": str(clip)},
        "clip_t": {"weights": str(clip)},
        "aesthetic": {"weights": str(clip), "head": str(head)},
    }


def seen(**changes: Any) -> Seen:
    values: dict[str, Any] = {
        "picture": Picture(OURS),
        "content": Picture(CONTENT),
        "styles": tuple(map(Picture, STYLES)),
        "prompt": PROMPT,
    }
    return Seen(**{**values, **changes})


def unit(vector: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.normalize(vector, dim=0)


def pixels(usual: Crop, image: Image.Image) -> torch.Tensor:
    side = networks.SIDE
    crop = Crop(usual.resize * side // usual.side, side, usual.mean, usual.std)
    return crop(image)[None]


@torch.inference_mode()
def test_each_score_is_the_librarys(section: dict[str, dict[str, Any]]) -> None:
    found = Scores(chosen_scorers(section)).of(seen(), "row")
    clip = CLIPModel.from_pretrained(section["clip_i"]["weights"]).eval()
    tokenizer = CLIPTokenizer.from_pretrained(section["clip_i"]["weights"])
    image, content = (
        unit(clip.get_image_features(pixels(CLIP_CROP, each)).pooler_output[0])
        for each in (OURS, CONTENT)
    )
    text = unit(clip.get_text_features(**tokenizer(PROMPT, return_tensors="pt")).pooler_output[0])
    assert found["clip_i"] == pytest.approx(float(image @ content), abs=1e-5)
    assert found["clip_t"] == pytest.approx(max(0.0, float(image @ text)), abs=1e-5)
    dino = ViTModel.from_pretrained(section["dino"]["weights"], add_pooling_layer=False).eval()
    token, other = (
        unit(dino(pixel_values=pixels(DINO_CROP, each)).last_hidden_state[0, 0])
        for each in (OURS, CONTENT)
    )
    assert found["dino"] == pytest.approx(float(token @ other), abs=1e-5)
    state = image
    for at in (0, 2, 4, 6, 7):
        head = networks.head_tensors()
        state = head[f"layers.{at}.weight"] @ state + head[f"layers.{at}.bias"]
    assert found["aesthetic"] == pytest.approx(float(state), abs=1e-5)
    assert found["gram"] is not None
    assert found["gram"] > 0


def test_several_styles_count_with_their_mean(section: dict[str, dict[str, Any]]) -> None:
    embed = csd(CSD.on_disk(section["csd"]["weights"]), torch.device("cpu"))
    ours, *styles = embed([networks.Shown(each) for each in (OURS, *STYLES)])
    expected = sum(cosine(ours, style) for style in styles) / 2
    scores = Scores(chosen_scorers({"csd": section["csd"]}))
    assert scores.of(seen(), "row")["csd"] == pytest.approx(expected, abs=1e-6)


def test_a_row_without_the_input_has_no_score(section: dict[str, dict[str, Any]]) -> None:
    bare = seen(content=None, styles=(), prompt=" ")
    found = Scores(chosen_scorers(section)).of(bare, "row")
    rated = found.pop("aesthetic")
    assert set(found.values()) == {None}
    assert rated is not None
    assert math.isfinite(rated)


def test_a_copy_of_its_references_is_like_them(section: dict[str, dict[str, Any]]) -> None:
    same = seen(content=Picture(OURS.copy()), styles=(Picture(OURS.copy()),))
    found = Scores(chosen_scorers(section)).of(same, "row")
    assert (found["csd"], found["dino"], found["clip_i"], found["gram"]) == (1, 1, 1, 0)


def test_clip_is_loaded_once_for_both_scores(section: dict[str, dict[str, Any]]) -> None:
    with_weights._clip.cache_clear()
    Scores(chosen_scorers({name: section[name] for name in ("clip_i", "clip_t")}))
    assert with_weights._clip.cache_info()[:2] == (1, 1)  # hits, misses


@pytest.mark.parametrize(
    ("name", "key", "command"),
    [
        ("csd", "weights", r"2\.4 GB\) with `hf download tomg-group-umd/CSD-ViT-L`"),
        ("gram", "weights", r"curl -LO https://download\.pytorch\.org/models/vgg19"),
        ("dino", "weights", "hf download facebook/dino-vits16"),
        ("clip_i", "weights", "hf download openai/clip-vit-base-patch32"),
        ("clip_t", "weights", "hf download openai/clip-vit-base-patch32"),
        ("aesthetic", "head", r"sac\+logos\+ava1-l14-linearMSE\.pth"),
    ],
)
def test_a_run_says_before_it_starts_what_to_download(
    section: dict[str, dict[str, Any]], tmp_path: Path, name: str, key: str, command: str
) -> None:
    for options, fault in (
        ({**section[name], key: None}, f"{key} is not given; "),
        ({**section[name], key: str(tmp_path / "gone")}, f"{key}: .*no such folder.*"),
    ):
        with pytest.raises(ConfigError, match=rf"scores\.{name}: {fault}.*{command}"):
            chosen_scorers({name: options})


def test_a_wrong_option_is_named() -> None:
    said = r"scores\.csd\.device: 'tpu' is not accepted; give cpu or cuda"
    with pytest.raises(ConfigError, match=said):
        chosen_scorers({"csd": {"weights": "x/y", "device": "tpu"}})


@pytest.mark.parametrize("name", ["csd", "gram", "dino", "clip_i", "clip_t", "aesthetic"])
def test_a_gpu_that_is_not_there_is_named(
    section: dict[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with_weights._clip.cache_clear()
    chosen = chosen_scorers({name: {**section[name], "device": "cuda"}})
    with pytest.raises(NoSuchDeviceError, match=r"device cuda: PyTorch .* choose the CPU"):
        Scores(chosen)


def test_other_weights_are_another_score(
    section: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    tensors = networks.csd_tensors()
    tensors["last_layer_style"] += 1
    networks.save_csd(tmp_path / "csd.pth", tensors)
    moved = tmp_path / "moved.pth"
    moved.write_bytes(Path(section["csd"]["weights"]).read_bytes())
    one, copy, other = (
        ChosenScorer("csd", {"weights": str(path)}).facts().identity
        for path in (section["csd"]["weights"], moved, tmp_path / "csd.pth")
    )
    assert one == copy != other


def test_a_relative_path_holds_in_another_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "csd.pth").touch()
    monkeypatch.chdir(tmp_path)
    options = ChosenScorer("csd", {"weights": "csd.pth"}).checked_options()
    assert options.model_dump()["weights"] == str(tmp_path / "csd.pth")


def test_the_choice_loads_no_torch() -> None:
    statement = (
        "from pipelines.worker.scores.registry import ChosenScorer as C; "
        "[C(name).find() for name in ('csd', 'gram', 'dino', 'clip_i', 'clip_t', 'aesthetic')]"
    )
    assert loaded_after(statement).isdisjoint({"torch", "transformers"})
