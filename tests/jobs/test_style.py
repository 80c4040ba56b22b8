"""`uso style`, and runs whose rows name styles."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds
import pytest
from typer.testing import CliRunner, Result

from jobs.cli import app
from pipelines.manifest.manifest import Manifest
from pipelines.styles.library import StyleLibrary
from tests.pipelines.manifests import config, valid
from tests.pipelines.pictures import encode, picture
from tests.pipelines.styles.made import made_style
from uso_core.loading.source import ModelSource, describe_model

CONFIG = """
manifest: {path: FOLDER/m.jsonl, style_library: FOLDER/styles}
model: {base: tiny, device: cpu}
defaults: {width: 32, height: 32, num_steps: 2, seed: 1}
stylize: {gpus_per_actor: 0}
ray: {address: none}
output: {path: FOLDER/out, recipe: false}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for seed in (1, 2):
        (tmp_path / f"{seed}.png").write_bytes(encode(picture(seed=seed)))
    (tmp_path / "run.yaml").write_text(CONFIG.replace("FOLDER", str(tmp_path)))
    return tmp_path


def style(folder: Path, *arguments: object) -> Result:
    config_path = str(folder / "run.yaml")
    return CliRunner().invoke(app, ["style", *map(str, arguments), "--config", config_path])


def run(folder: Path, *rows: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Run the rows, and return their records by id."""
    (folder / "m.jsonl").write_text("\n".join(map(json.dumps, rows)))
    CliRunner().invoke(app, ["run", str(folder / "run.yaml")], catch_exceptions=False)
    return {row["id"]: row for row in ds.dataset(folder / "out" / "records").to_table().to_pylist()}


def test_a_style_is_added_listed_shown_and_removed(folder: Path) -> None:
    images = (folder / "1.png", folder / "2.png")
    added = style(folder, "add", "ink", *images, "--weights", "1,3", "--licence", "CC0")
    assert added.exit_code == 0, added.output
    assert "2.png, weight 3" in added.stdout
    listed = style(folder, "list")
    assert "ink         2 images, tiny:0, CC0" in listed.stdout
    shown = style(folder, "show", "ink", "--json", "--thumbnails", folder / "thumbs")
    facts = json.loads(shown.stdout)
    assert [image["weight"] for image in facts["images"]] == [1, 3]
    assert facts["model_fingerprint"] == describe_model(ModelSource(base="tiny")).fingerprint
    assert [path.name for path in sorted((folder / "thumbs").iterdir())] == [
        "ink-0.jpg",
        "ink-1.jpg",
    ]
    taken = style(folder, "add", "ink", images[0])
    assert taken.exit_code == 2
    assert "ink.safetensors: exists; use --force" in taken.stderr
    assert style(folder, "remove", "ink").exit_code == 0
    assert "no styles" in style(folder, "list").stdout


def test_licences_and_wishes_of_the_images_are_kept(folder: Path) -> None:
    (folder / "1.png.license").write_text("SPDX-License-Identifier: CC0-1.0\nnoai\n")
    added = style(folder, "add", "ink", folder / "1.png", "--json")
    facts = json.loads(added.stdout)
    assert facts["licence"] == "CC0-1.0"
    assert facts["images"][0]["wish"] == "noai in 1.png.license"
    shown = style(folder, "show", "ink").stdout
    assert "1.png, weight 1, CC0-1.0, noai in 1.png.license" in shown
    mixed = style(folder, "add", "two", folder / "1.png", folder / "2.png", "--json")
    assert json.loads(mixed.stdout)["licence"] is None  # that of one image is unknown
    given = style(folder, "add", "own", folder / "1.png", "--licence", "MIT", "--json")
    assert json.loads(given.stdout)["licence"] == "MIT"


def test_a_damaged_style_is_named_beside_the_others_and_can_be_replaced(folder: Path) -> None:
    (folder / "styles").mkdir()
    (folder / "styles" / "bad.safetensors").write_bytes(b"no style")
    assert style(folder, "add", "ink", folder / "1.png").exit_code == 0
    listed = style(folder, "list")
    assert "ink         1 image, tiny:0" in listed.stdout
    assert "bad.safetensors: it is not a safetensors file; remove it" in listed.stderr
    assert listed.exit_code == 2
    assert "exists; use --force" in style(folder, "add", "bad", folder / "1.png").stderr
    assert style(folder, "add", "bad", folder / "1.png", "--force").exit_code == 0
    assert style(folder, "list").exit_code == 0
    (folder / "styles" / "bad.safetensors").write_bytes(b"no style")
    assert style(folder, "remove", "bad").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("add", "a/b", "1.png"), "give 1 to 64 letters"),
        (("add", "ink", "none.png"), "none.png"),
        (
            ("add", "ink", "1.png", "--weights", "1,2"),
            "one number above 0 for each of the 1 images",
        ),
        (("add", "ink", "1.png", "--weights", "0"), "one number above 0"),
        (("show", "ink"), "it has no style 'ink'"),
        (("remove", "ink"), "it has no style 'ink'"),
    ],
)
def test_mistakes_are_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], said: str
) -> None:
    monkeypatch.chdir(folder)
    result = style(folder, *arguments)
    assert result.exit_code == 2, result.output
    assert said in result.stderr


def test_a_run_gives_the_bytes_of_the_image_and_notices_other_tokens(folder: Path) -> None:
    assert style(folder, "add", "ink", folder / "1.png", "--licence", "CC0").exit_code == 0
    rows = (
        {"id": "image", "style_image": str(folder / "1.png")},
        {"id": "name", "style": "ink"},
        {"id": "wrong", "style": "inc"},
    )
    first = run(folder, *rows)
    assert first["image"]["sha256"] == first["name"]["sha256"] is not None
    assert first["name"]["library_styles"][0]["licence"] == "CC0"
    assert first["image"]["library_styles"] is None
    assert "'inc' is not accepted" in first["wrong"]["error"]["message"]

    assert style(folder, "add", "ink", folder / "2.png", "--force").exit_code == 0
    changed = run(folder, *rows)
    assert changed["name"]["sha256"] != first["name"]["sha256"]
    assert changed["image"]["created_at"] == first["image"]["created_at"]


def test_rows_of_a_choice_keep_their_styles(tmp_path: Path) -> None:
    card = describe_model(ModelSource(base="tiny"))
    library = StyleLibrary(str(tmp_path / "styles"), {})
    library.write("ink", made_style(model_fingerprint=card.fingerprint)[1])
    (tmp_path / "run.yaml").write_text(CONFIG.replace("FOLDER", str(tmp_path)))
    row = {"id": "a", "style": [{"style": "ink", "weight": 0.5}], "note": "x"}
    (tmp_path / "m.jsonl").write_text(json.dumps(row))
    (tmp_path / "ids.txt").write_text("a\n")
    arguments = ["--chosen", tmp_path / "run.yaml", "--ids", tmp_path / "ids.txt"]
    out = tmp_path / "again.parquet"
    result = CliRunner().invoke(app, ["manifest", str(out), *map(str, arguments)])
    assert result.exit_code == 0, result.output
    again = config(out, manifest={"style_library": str(tmp_path / "styles")})
    (entry,) = Manifest.open(again, card).entries()
    (named,) = valid(entry).library_styles
    assert (named.name, named.weight, entry.extra) == ("ink", 0.5, {"note": "x"})
