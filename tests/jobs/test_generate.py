from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from PIL import Image
from PIL.JpegImagePlugin import get_sampling
from typer.testing import CliRunner, Result

from jobs.cli import app
from tests.fresh_interpreter import loaded_after

DEMO = Path(__file__).parents[2] / "examples" / "demo"
STYLE = str(DEMO / "paintings" / "harvest.webp")
CONTENT = str(DEMO / "photos" / "cat.jpg")


@pytest.fixture(autouse=True)
def _one_core(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use one thread: a tiny model is slower on more, and the number outlasts the test."""
    monkeypatch.setattr(os, "cpu_count", lambda: 1)


def generate(out: Path, *arguments: str) -> Result:
    command = ["generate", "--model", "tiny", "--steps", "1", "--out", str(out), *arguments]
    return CliRunner().invoke(app, command)


def test_it_writes_one_image(tmp_path: Path) -> None:
    out = tmp_path / "new" / "x.JPG"
    result = generate(out, "--prompt", "a cat", "--width", "64", "--height", "32")
    assert result.exit_code == 0, result.stderr
    assert f"wrote {out}: 64x32, seed 0" in result.stdout
    with Image.open(out) as image:
        assert (image.size, image.format, image.mode) == ((64, 32), "JPEG", "RGB")
        assert get_sampling(image) == 0  # 4:4:4, as in a run


def test_a_tilde_is_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    arguments = ["--prompt", "a cat", "--width", "32", "--height", "32"]
    assert generate(Path("~/x.png"), *arguments).exit_code == 0
    assert (tmp_path / "home" / "x.png").is_file()
    assert not (tmp_path / "~").exists()


@pytest.mark.parametrize("option", ["--recipe", "--no-recipe"])
def test_the_image_holds_its_recipe(tmp_path: Path, option: str) -> None:
    out = tmp_path / "x.png"
    size = ("--width", "32", "--height", "32", "--content-long-size", "32")
    result = generate(out, option, "--prompt", "a cat", "--seed", "7", *size, "--content", CONTENT)
    assert result.exit_code == 0, result.stderr
    with Image.open(out) as image:
        recipe = image.info.get("parameters")
    line = 'Steps: 1, Sampler: Euler, CFG scale: 4, Seed: 7, Size: 32x32, Model: "tiny:0"'
    pairs = f"{line}, Preset: exact, Content: cat.jpg, Content size: 32"
    assert recipe == (f"a cat\n{pairs}" if option == "--recipe" else None)


def test_json_has_the_facts(tmp_path: Path) -> None:
    out = tmp_path / "x.png"
    result = generate(out, "--json", "--width", "32", "--height", "48", "--seed", "7")
    assert json.loads(result.stdout) == {
        "path": str(out), "width": 32, "height": 48, "seed": 7, "model": "tiny:0",
        "prompt_truncated": False,
    }  # fmt: skip


def test_references_weights_and_seed_change_the_image(tmp_path: Path) -> None:
    common = (
        "--no-recipe",
        "--width",
        "32",
        "--height",
        "32",
        "--content-long-size",
        "32",
        "--content",
        CONTENT,
    )
    images = set()
    styles = ("--style", STYLE, "--style", STYLE)
    weights = ("--style-weight", "1", "--style-weight", "0.5")
    for arguments in ((), styles, (*styles, *weights), ("--seed", "7")):
        out = tmp_path / "out.png"
        assert generate(out, *common, *arguments).exit_code == 0
        images.add(out.read_bytes())
    assert len(images) == 4


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--style", STYLE, "--style-weight", "3"], "style_weights[0]: 3.0 is not accepted"),
        (["--style-weight", "1"], "give one number for each style, 0 in all"),
        (["--width", "33"], "width: 33 is not accepted"),
        (["--content", "nowhere.jpg"], "nowhere.jpg"),
        (["--style", str(DEMO / "photos" / "truncated.jpg")], "image_corrupt"),
        (["--model", "/no/such/folder"], "/no/such/folder"),
        (["--device", "gpu"], "--device"),
    ],
)
def test_a_mistake_is_reported_without_a_traceback(
    tmp_path: Path, arguments: list[str], said: str
) -> None:
    result = generate(tmp_path / "x.png", *arguments)
    assert result.exit_code == 2
    assert said in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "x.png").exists()


@pytest.mark.parametrize("wrong", [["--width", "33"], ["--model", "/no/such/folder"]])
def test_a_mistake_is_reported_before_torch_is_loaded(tmp_path: Path, wrong: list[str]) -> None:
    command = ["generate", "--model", "tiny", "--out", f"{tmp_path}/x.png", *wrong]
    statement = f"""if True:
        from typer.testing import CliRunner
        from jobs.cli import app
        assert CliRunner().invoke(app, {command}).exit_code == 2"""
    assert "torch" not in loaded_after(statement)


def test_the_ending_decides_the_format(tmp_path: Path) -> None:
    result = generate(tmp_path / "x.gif")
    assert result.exit_code == 2
    assert ".png" in result.stderr


def test_an_unwritable_path_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    result = generate(tmp_path / "file" / "x.png", "--width", "32", "--height", "32")
    assert result.exit_code == 2
    assert "file" in result.stderr


def test_a_preset_that_the_device_cannot_run_is_an_error(tmp_path: Path) -> None:
    result = generate(tmp_path / "x.png", "--preset", "fp8", "--device", "cpu")
    assert result.exit_code == 2
    assert "fp8" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_draft_is_generated(tmp_path: Path) -> None:
    result = generate(tmp_path / "x.png", "--preset", "draft", "--width", "64", "--height", "32")
    assert result.exit_code == 0, result.stderr
