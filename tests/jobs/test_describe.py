from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from typer.testing import CliRunner, Result

from jobs.cli import app

ROOT = Path(__file__).parents[2]


def write_config(folder: Path, text: str) -> str:
    table = pa.table({"caption": ["a", "b"], "note": [1, 2]})
    pq.write_table(table, folder / "rows.parquet")
    path = folder / "run.yaml"
    path.write_text(text.replace("FOLDER", str(folder)), encoding="utf-8")
    return str(path)


CONFIG = """\
manifest: {path: FOLDER/rows.parquet, columns: {prompt: caption}}
model: {base: tiny}
stylize: {actors: {min: 2, max: 6}, gpus_per_actor: 0.5, rows_in_flight: 3}
output: {path: FOLDER/out}
"""


def describe(path: str, *more: str) -> Result:
    return CliRunner().invoke(app, ["describe", path, *more])


def test_it_shows_stages_resources_and_schemas(tmp_path: Path) -> None:
    result = describe(write_config(tmp_path, CONFIG))
    assert result.exit_code == 0
    text = " ".join(result.stdout.split())
    assert "tiny:0" in text
    assert "rows.parquet: 2 rows" in text
    assert "actors 2 to 6, each with 0.5 GPUs and 1 CPUs: at most 3 GPUs and 6 CPUs" in text
    assert "in flight at most 3 rows per actor, 18 in all" in text
    stages = ("read", "fetch", "condition", "denoise", "decode", "store", "record")
    assert all(f" {stage} " in text for stage in stages)
    assert "prompt (caption) string" in text
    assert "fingerprint string" in text
    assert "note int64 from the manifest" in text


def test_the_safety_check_has_a_stage_and_a_column(tmp_path: Path) -> None:
    path = write_config(tmp_path, CONFIG)
    assert "nsfw_score" not in describe(path).stdout
    text = " ".join(describe(path, "--set", "safety.mode=flag").stdout.split())
    assert "check actor, CPU RGB image → score open_nsfw: flag from 0.2" in text
    assert "nsfw_score list<item: double> one per image" in text
    unknown = describe(path, "--set", "safety.mode=flag", "--set", "safety.checker=nobody")
    assert unknown.exit_code == 2
    assert "safety.checker: 'nobody' is unknown" in unknown.stderr


def test_a_mapped_alias_is_shown(tmp_path: Path) -> None:
    path = write_config(tmp_path, CONFIG)
    table = pa.table({"caption": ["a"], "refs": [["x.png"]]})
    pq.write_table(table, tmp_path / "rows.parquet")
    result = describe(path, "--set", "manifest.columns.reference_images=refs")
    assert result.exit_code == 0
    assert "style_images (refs)" in result.stdout


def test_it_starts_nothing(tmp_path: Path) -> None:
    describe(write_config(tmp_path, CONFIG))
    assert not (tmp_path / "out").exists()


def test_overrides_apply(tmp_path: Path) -> None:
    result = describe(write_config(tmp_path, CONFIG), "--set", "stylize.actors=5")
    assert "5, each with" in result.stdout


def test_a_signature_in_a_default_is_not_shown(tmp_path: Path) -> None:
    default = "defaults.content_image=https://user:hunter2@host/a.png?X-Amz-Signature=5ec"
    result = describe(write_config(tmp_path, CONFIG), "--set", default)
    assert "https://host/a.png" in result.stdout
    assert "hunter2" not in result.stdout
    assert "5ec" not in result.stdout


def test_a_missing_manifest_is_reported_in_its_place(tmp_path: Path) -> None:
    path = write_config(tmp_path, CONFIG)
    result = describe(path, "--set", f"manifest.path={tmp_path}/none.parquet")
    assert result.exit_code == 2
    assert "error:" in result.stdout
    assert "none.parquet" in result.stdout
    assert "none.parquet" in result.stderr  # again, after the tables
    assert "Records: one row out" in result.stdout


def test_missing_weights_are_reported_in_their_place(tmp_path: Path) -> None:
    result = describe(write_config(tmp_path, CONFIG), "--set", f"model.base={tmp_path}/weights")
    assert result.exit_code == 2
    assert "weights" in result.stdout.split("manifest", 1)[0]


def test_a_wrong_key_is_one_short_message(tmp_path: Path) -> None:
    result = describe(write_config(tmp_path, CONFIG), "--set", "stylize.actor=2")
    assert result.exit_code == 2
    assert "stylize.actor" in result.stderr
    assert "actors" in result.stderr
    assert "Traceback" not in result.stderr


def test_json_has_the_same_facts(tmp_path: Path) -> None:
    document = json.loads(describe(write_config(tmp_path, CONFIG), "--json").stdout)
    assert document["facts"]["manifest"].endswith("rows.parquet: 2 rows")
    assert document["problems"] == {}
    assert [stage["stage"] for stage in document["stages"]][:2] == ["read", "fetch"]
    assert {"column": "note", "type": "int64", "notes": "from the manifest"} in (
        document["record_columns"]
    )
    assert "prompt (caption)" in [column["column"] for column in document["manifest_columns"]]


def test_json_has_the_problems(tmp_path: Path) -> None:
    path = write_config(tmp_path, CONFIG)
    result = describe(path, "--json", "--set", f"manifest.path={tmp_path}/none.parquet")
    assert result.exit_code == 2
    assert "none.parquet" in json.loads(result.stdout)["problems"]["manifest"]
