from __future__ import annotations

import hashlib
import time
from pathlib import Path

import numpy as np
import pytest

from tests.uso_core.checkpoints import load, states
from tests.uso_core.synth import synth_image
from uso_core.errors import CheckpointError
from uso_core.loading.source import ModelSource, describe_model
from uso_core.loading.tiny import write_tiny_checkpoint
from uso_core.loading.tiny_configs import TINY_LIMITS
from uso_core.model.components import Components
from uso_core.pipeline import USOPipeline
from uso_core.request import StylizeRequest


def digests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny") / "new"
    write_tiny_checkpoint(folder, seed=3)
    return folder


@pytest.fixture(scope="module")
def pipeline() -> USOPipeline:
    return USOPipeline.tiny(seed=3)


def test_is_written_in_the_originals_file_formats(written: Path) -> None:
    assert set(digests(written)) == {
        "config.json",
        "flux1-dev.safetensors",
        "ae.safetensors",
        "dit_lora.safetensors",
        "projector.safetensors",
        *(f"t5/{name}" for name in ("config.json", "model.safetensors")),
        *(f"t5/{name}" for name in ("spiece.model", "tokenizer_config.json")),
        *(f"clip/{name}" for name in ("config.json", "model.safetensors")),
        *(f"clip/{name}" for name in ("vocab.json", "merges.txt", "tokenizer_config.json")),
        *(f"siglip/{name}" for name in ("config.json", "model.safetensors")),
        "siglip/preprocessor_config.json",
    }
    card = describe_model(ModelSource(str(written)))
    assert (card.name, card.layout, card.limits) == ("new", "original", TINY_LIMITS)
    assert sum(path.stat().st_size for path in written.rglob("*.*")) < 8e6


def test_same_seed_same_bytes(written: Path, tmp_path: Path) -> None:
    write_tiny_checkpoint(tmp_path, seed=3)
    assert digests(tmp_path) == digests(written)


def test_bytes_are_those_of_this_version(written: Path) -> None:
    """Raise TINY_VERSION if these change: the model has changed."""
    weights = [digest for name, digest in sorted(digests(written).items()) if "config" not in name]
    assert hashlib.sha256("".join(weights).encode()).hexdigest()[:16] == "d3567c9e2c08952b"


def test_another_seed_is_another_model(written: Path, tmp_path: Path) -> None:
    write_tiny_checkpoint(tmp_path, seed=4)
    ours, theirs = digests(tmp_path), digests(written)
    changed = {name for name in ours if ours[name] != theirs[name]}
    assert {name for name in ours if name.endswith(".safetensors")} | {"config.json"} == changed


def test_is_made_in_seconds() -> None:
    start = time.perf_counter()
    load(ModelSource("tiny:5"))
    assert time.perf_counter() - start < 5


def test_loading_by_name_equals_loading_the_written_files(
    written: Path, pipeline: USOPipeline
) -> None:
    ours, theirs = states(pipeline.components), states(load(written))
    assert ours.keys() == theirs.keys()
    assert all(bool((ours[key] == theirs[key]).all()) for key in ours)


def test_has_the_golden_tokenizers(pipeline: USOPipeline, golden_components: Components) -> None:
    ours, theirs = pipeline.components, golden_components
    text = "Ghibli style, the man on the beach — café 日本 <extra_id_0> <|endoftext|>"
    assert ours.tokenizer(text).input_ids == theirs.tokenizer(text).input_ids
    assert ours.tokenizer_2(text).input_ids == theirs.tokenizer_2(text).input_ids
    assert ours.tokenizer.model_max_length == 77


def generate(pipeline: USOPipeline, **changes: object) -> np.ndarray:
    values: dict[str, object] = {
        "prompt": "a cat",
        "content_image": synth_image(64, 64, seed=1),
        "style_images": [synth_image(64, 64, seed=2)],
        "seed": 7,
        "num_steps": 2,
        "content_long_size": 64,
    }
    request = StylizeRequest(**(values | changes))  # type: ignore[arg-type]  # values differ in type
    return np.asarray(pipeline([request])[0].image).astype(int)


@pytest.mark.parametrize(
    "change",
    [
        {"prompt": "a dog on a chair"},
        {"prompt": ""},
        {"content_image": synth_image(64, 64, seed=3)},
        {"content_image": None},
        {"style_images": [synth_image(64, 64, seed=4)]},
        {"style_images": []},
        {"style_images": [synth_image(64, 64, seed=2), synth_image(64, 64, seed=4)]},
        {"seed": 8},
        {"guidance": 1.5},
    ],
    ids=[
        *("prompt", "no-prompt", "content", "no-content"),
        *("style", "no-style", "two-styles", "seed", "guidance"),
    ],
)
def test_every_input_shows_in_the_image(pipeline: USOPipeline, change: dict[str, object]) -> None:
    difference = np.abs(generate(pipeline, **change) - generate(pipeline))
    assert difference.mean() > 1


def test_images_are_neither_flat_nor_clipped(pipeline: USOPipeline) -> None:
    pixels = generate(pipeline)
    assert pixels.shape == (64, 64, 3)
    assert pixels.std() > 20
    assert ((pixels == 0) | (pixels == 255)).mean() < 0.2


def test_an_earlier_tiny_checkpoint_is_replaced(tmp_path: Path, written: Path) -> None:
    write_tiny_checkpoint(tmp_path, seed=4)
    (tmp_path / "ae.safetensors").unlink()
    write_tiny_checkpoint(tmp_path, seed=3)
    assert digests(tmp_path) == digests(written)


@pytest.mark.parametrize("name", ["flux1-dev.safetensors", "notes.txt", "config.json"])
def test_other_folders_are_left_alone(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("{}")
    with pytest.raises(CheckpointError, match="holds other files"):
        write_tiny_checkpoint(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [name]
