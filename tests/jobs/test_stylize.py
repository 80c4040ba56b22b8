"""`uso stylize` with the tiny model, in this process."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from jobs import stylize_setup
from jobs.cli import app
from pipelines.ledger.lease import Lease
from pipelines.ledger.records import iter_records
from pipelines.storage.storage import Storage
from pipelines.tools.report.commands import ANYWHERE
from tests.pipelines.http_origin import ok, serving
from tests.pipelines.tools.report.outputs import boot

FAST = ("--model", "tiny", "--size", "16", "--steps", "1")


def stylize(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["stylize", *map(str, arguments)])


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    """Two photographs, one of them in a folder, a damaged one, two styles and a text file."""
    for name in ("in/a/b.jpg", "in/c.png", "styles/dots.png", "styles/old/sea.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (24, 16), "teal").save(tmp_path / name)
    (tmp_path / "in/damaged.jpg").write_bytes((tmp_path / "in/a/b.jpg").read_bytes()[:300])
    (tmp_path / "in/notes.txt").write_text("no image")
    return tmp_path


def pictures(out: Path) -> list[str]:
    return sorted(str(path.relative_to(out / "pictures")) for path in out.rglob("pictures/**/*.*"))


def statuses(out: Path) -> dict[str, str]:
    batches = iter_records(Storage.at(str(out)), ["id", "status"])
    return {row["id"]: row["status"] for batch in batches for row in batch.to_pylist()}


@pytest.mark.timeout(180)  # whole runs
def test_a_folder_is_drawn_in_each_style_and_the_same_command_resumes(inputs: Path) -> None:
    call = (inputs / "in", "--style", inputs / "styles", "--out", inputs / "out", *FAST)
    first = stylize(*call)
    assert first.exit_code == 3, first.output  # as uso run: one photograph is damaged
    assert "workers  this process, without Ray: the model is small" in first.stdout
    assert "left out 1 files of other types (.txt)" in first.stdout
    assert "damaged.jpg--dots.png" in first.stdout
    made = ["a/b__dots.png", "a/b__sea.png", "c__dots.png", "c__sea.png"]
    assert pictures(inputs / "out") == made
    assert (inputs / "out/report/index.html").exists()
    assert sorted(statuses(inputs / "out").values()) == ["completed"] * 4 + ["failed"] * 2

    Image.new("RGB", (24, 16), "red").save(inputs / "in/new.png")
    (inputs / "in/damaged.jpg").unlink()
    again = stylize(*call, "--json")
    assert again.exit_code == 0, again.output
    summary = json.loads(again.stdout)
    assert (summary["skipped"], summary["completed"], summary["left_out"]) == (4, 2, 2)
    assert summary["pictures_uri"] == str(inputs / "out/pictures")
    assert summary["report_uri"] == str(inputs / "out/report/index.html")
    commands = boot(Storage.at(str(inputs / "out/report")))["commands"]
    assert commands["config"] == str(inputs / "out/stylize/run.yaml")
    assert commands["notes"] == [ANYWHERE]
    assert pictures(inputs / "out") == [*made, "new__dots.png", "new__sea.png"]

    config = inputs / "out/stylize/run.yaml"
    assert CliRunner().invoke(app, ["validate", str(config), "--fetch", "all"]).exit_code == 0
    other = stylize(*call, "--flat")
    assert other.exit_code == 2
    assert "is recorded with the image 'pictures/a/b__" in other.stderr


@pytest.mark.timeout(180)
def test_a_refused_command_leaves_the_configuration_of_the_last_run(inputs: Path) -> None:
    # `uso prune` with the configuration of a refused run would remove the images of the last one.
    call = (inputs / "in/c.png", "--style", inputs / "styles", "--out", inputs / "out", *FAST)
    assert stylize(*call).exit_code == 0
    config = inputs / "out/stylize/run.yaml"
    before = config.read_text()
    other = (inputs / "in/a", "--style", inputs / "styles", "--out", inputs / "out", *FAST)
    assert stylize(*other, "--guidance", "99").exit_code == 2
    assert stylize(*other, "--name", "pictures-{style_stem}-{nothing}").exit_code == 2
    with Lease(Storage.at(str(inputs / "out")), "run-of-another", heartbeat_s=0.05):
        refused = stylize(*other)
    assert (refused.exit_code, config.read_text()) == (2, before), refused.output
    assert stylize(*other).exit_code == 0
    assert config.read_text() != before


def test_a_dry_run_refuses_shared_names_as_a_run_does(inputs: Path) -> None:
    shutil.copy(inputs / "in/c.png", inputs / "in/a/c.png")
    call = (inputs / "in", "--style", inputs / "styles", "--out", inputs / "out", *FAST)
    assert stylize(*call, "--dry-run").exit_code == 0
    result = stylize(*call, "--dry-run", "--flat")
    assert result.exit_code == 2, result.output
    assert "both get 'pictures/c__dots.png'" in result.stderr


def test_a_dry_run_makes_nothing(inputs: Path) -> None:
    result = stylize(
        inputs / "in", "--style", inputs / "styles", "--out", inputs / "out", "--dry-run", *FAST
    )
    assert result.exit_code == 0, result.output
    assert "images   6, named {folder:path}/{content_stem}__{style_stem}" in result.stdout
    assert "Nothing was started." in result.stdout
    assert not (inputs / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("in", "--style", "none"), "--style "),
        (("none", "--style", "styles"), "PHOTOS "),
        (("empty", "--style", "styles"), "PHOTOS empty (FOLDER/empty): no image is there"),
        (("in", "--style", "empty"), "--style empty (FOLDER/empty): no image is there"),
        (("in",), "give --style, or --prompt"),
        (("in", "--style", "styles", "--size", "big"), "--size big: give WIDTHxHEIGHT"),
        (
            ("in", "--style", "styles", "--size", "9999"),
            "--size: 9999 is not accepted; give 16 to 256",
        ),
        (("in", "--style", "styles", "--guidance", "99"), "--guidance: 99.0 is not accepted"),
        (("in", "--style", "styles", "--seed", "-5"), "--seed: "),
        (("in", "--style", "styles", "--name", "{artist}"), "{artist}, which no row has"),
        (("in", "--style", "styles", "--name", "x"), "--name: 'x' has no field in braces"),
        (("in", "--style", "styles", "--out", "file/out"), "FOLDER/file is a file, and no"),
        (("in", "--style", "styles", "--out", "in/out"), "is inside PHOTOS FOLDER/in"),
        (("in", "--style", "styles", "--out", "styles"), "is inside --style FOLDER/styles"),
        (("twins", "--style", "styles"), "rows 'x.jpg--dots.png' and 'x.png--dots.png' both get"),
    ],
)
def test_a_mistake_ends_it_before_the_model_loads(
    inputs: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], said: str
) -> None:
    (inputs / "empty").mkdir()
    (inputs / "file").touch()
    (inputs / "twins").mkdir()
    for name in ("x.jpg", "x.png"):
        shutil.copy(inputs / "in/c.png", inputs / "twins" / name)
    monkeypatch.chdir(inputs)
    out = () if "--out" in arguments else ("--out", "out")
    result = stylize(*FAST, *arguments, *out)
    assert result.exit_code == 2, result.output
    assert said.replace("FOLDER/", "") in result.stderr.replace(f"{inputs}/", "")
    assert "Traceback" not in result.output
    assert pictures(inputs / "out") == []


@pytest.mark.timeout(180)
def test_an_address_and_prompts(inputs: Path) -> None:
    prompts = ("--prompt", "in snow", "--prompt", "at night")
    with serving() as origin:
        photo = origin.on("/a%20cat.png?x=1", ok((inputs / "in/c.png").read_bytes()))
        result = stylize(photo, *prompts, "--out", inputs / "out", *FAST, "--format", "webp")
    assert result.exit_code == 0, result.output
    assert pictures(inputs / "out") == ["a cat__at night.webp", "a cat__in snow.webp"]


# --- choices -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gpus", "model", "workers", "actors", "why"),
    [
        (0, {"base": "/flux"}, None, None, "this process, without Ray: there is no GPU"),
        (4, {"base": "/flux"}, None, (4, 1), "one for each of 4 GPUs"),
        (4, {"base": "/flux", "device": "cpu"}, None, None, "--device cpu"),
        (4, {"base": "tiny"}, None, None, "the model is small"),
        (4, {"base": "/flux"}, 2, (2, 1), "2 processes, by Ray"),
        (1, {"base": "/flux"}, 2, (2, 0.5), "2 processes, by Ray"),
        (1, {"base": "/flux"}, 0, None, "--workers 0"),
        (0, {"base": "tiny"}, 2, (2, 0), "2 processes, by Ray"),
    ],
)
def test_the_workers_follow_from_the_gpus_and_the_model(
    monkeypatch: pytest.MonkeyPatch,
    gpus: int,
    model: dict[str, Any],
    workers: int | None,
    actors: tuple[int, float] | None,
    why: str,
) -> None:
    monkeypatch.setattr(stylize_setup, "_count_gpus", lambda: gpus)
    choice = stylize_setup.choose_workers(model, workers)
    assert why in choice.why
    stylize = choice.config["stylize"]
    if actors is None:
        assert choice.config["ray"] == {"address": "none"}
        assert "actors" not in stylize
    else:
        assert "ray" not in choice.config
        assert (stylize["actors"], stylize["gpus_per_actor"]) == actors


def test_downloaded_weights_are_used_and_without_them_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    absent = stylize_setup.choose_model({"base": None, "preset": "fp8"})
    assert absent.config["model"] == {"base": stylize_setup.SMALL_MODEL, "preset": "fp8"}
    assert "NOT the real USO: black-forest-labs/FLUX.1-dev was not downloaded" in absent.why
    for repo in ("black-forest-labs--FLUX.1-dev", "bytedance-research--USO"):
        (tmp_path / f"models--{repo}/snapshots/abc").mkdir(parents=True)
        (tmp_path / f"models--{repo}/snapshots/abc/config.json").touch()
    assert "google/siglip-so400m-patch14-384 was not" in stylize_setup.choose_model({}).why
    siglip = tmp_path / "models--google--siglip-so400m-patch14-384/snapshots/abc"
    siglip.mkdir(parents=True)
    (siglip / "config.json").touch()
    found = stylize_setup.choose_model({"base": None})
    assert found.config["model"] == {"base": "black-forest-labs/FLUX.1-dev"}
