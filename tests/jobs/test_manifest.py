from __future__ import annotations

import json
from datetime import datetime, timezone
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from jobs.cli import app
from pipelines.ledger.ledger import Ledger
from pipelines.record import RunFacts, make_record, record_schema
from pipelines.rows import Outcome
from pipelines.storage.storage import Storage
from tests.pipelines.manifests import opened
from tests.pipelines.pictures import encode, picture


def manifest(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["manifest", *map(str, arguments)])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("photos/cat.png", "photos/dog.png", "styles/a.png", "styles/b.png"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(encode(picture()))
    return tmp_path


def test_it_prints_the_contents_and_the_next_command(folder: Path) -> None:
    out = folder / "m.parquet"
    result = manifest(out, "--content", folder / "photos", "--style", folder / "styles")
    assert result.exit_code == 0, result.output
    text = " ".join(result.stdout.split())
    assert f"wrote {out} rows 4 different 2 content images different 2 styles" in text
    assert f"uso validate CONFIG --fetch 100 --set manifest.path={out}" in text
    assert pq.read_table(out)["id"].to_pylist() == ["cat--a", "cat--b", "dog--a", "dog--b"]


def test_it_counts_the_files_that_it_leaves_out(folder: Path) -> None:
    for name in ("IMG_1.PSD", "IMG_2.psd", "notes.txt", ".DS_Store"):
        (folder / "photos" / name).write_bytes(b"x")
    result = manifest(folder / "m.parquet", "--content", folder / "photos")
    assert result.exit_code == 0, result.output
    assert "left out   3 files of other types: .psd (2), .txt (1)" in result.stdout


def test_prompts_come_from_a_file(folder: Path) -> None:
    (folder / "prompts.txt").write_text("in the snow\n\nat night\n\n", encoding="utf-8")
    out = folder / "m.parquet"
    assert manifest(out, "--prompts", folder / "prompts.txt", "--prompt", "first").exit_code == 0
    assert pq.read_table(out)["prompt"].to_pylist() == ["first", "in the snow", "", "at night"]


def test_a_file_without_prompts_is_an_error(folder: Path) -> None:
    (folder / "prompts.txt").write_text("\n")
    out = folder / "m.parquet"
    result = manifest(out, "--content", folder / "photos", "--prompts", folder / "prompts.txt")
    assert result.exit_code == 2
    assert "prompts.txt: contains no prompt" in result.stderr
    assert not out.exists()


def test_random_styles(folder: Path) -> None:
    out = folder / "m.parquet"
    places = ("--content", folder / "photos", "--style", folder / "styles")
    result = manifest(out, *places, "--pair", "random", "--styles-per-content", 1, "--seed", 3)
    assert result.exit_code == 0
    rows = pq.read_table(out).to_pylist()
    assert [Path(row["content_image"]).name for row in rows] == ["cat.png", "dog.png"]


def test_a_table(folder: Path) -> None:
    (folder / "t.csv").write_text("caption\na cat\n")
    out = folder / "m.parquet"
    assert manifest(out, "--from", folder / "t.csv", "--column", "prompt=caption").exit_code == 0
    assert pq.read_table(out)["prompt"].to_pylist() == ["a cat"]
    wrong = manifest(folder / "n.parquet", "--from", folder / "t.csv", "--column", "caption")
    assert wrong.exit_code == 2
    assert "OURS=THEIRS" in wrong.stderr


def test_an_existing_file_is_replaced_only_with_force(folder: Path) -> None:
    out = folder / "m.parquet"
    assert manifest(out, "--prompt", "a").exit_code == 0
    refused = manifest(out, "--prompt", "b")
    assert refused.exit_code == 2
    assert "--force" in refused.stderr
    assert manifest(out, "--prompt", "b", "--force").exit_code == 0


@pytest.mark.parametrize(
    "arguments",
    [(), ("--prompt", "a", "--from", "t.csv"), ("--from", "t.csv", "--failed", "run.yaml")],
)
def test_exactly_one_source_is_required(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    result = manifest(tmp_path / "m.parquet", *arguments)
    assert result.exit_code == 2
    assert "--failed" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_run_without_failed_rows_is_an_error(folder: Path) -> None:
    out, config = folder / "m.parquet", folder / "run.yaml"
    manifest(out, "--prompt", "a")
    config.write_text(
        f"manifest: {{path: {out}}}\noutput: {{path: {folder}/out}}\nmodel: {{base: tiny}}\n"
    )
    result = manifest(folder / "again.parquet", "--failed", config)
    assert result.exit_code == 2
    assert "no row failed" in result.stderr


def test_rows_with_a_low_score(folder: Path) -> None:
    out, config = folder / "m.parquet", folder / "run.yaml"
    manifest(out, "--prompt", "a", "--prompt", "b", "--prompt", "c")
    config.write_text(
        f"manifest: {{path: {out}}}\noutput: {{path: {folder}/out}}\nmodel: {{base: tiny}}\n"
    )
    source = opened(out)
    facts = RunFacts(run_id="r", model="m", preset="exact")
    now = datetime(2026, 1, 1, tzinfo=timezone.utc)
    records = [
        make_record(entry, Outcome(row_id=entry.row.id), facts, attempt=1, created_at=now)
        for entry in source.entries()
    ]
    storage = Storage.at(str(folder / "out"))
    Ledger.open(storage, record_schema(source.extra_schema)).append(records)
    (folder / "scores.csv").write_text(f"id,clip\n{records[0]['id']},1\n{records[2]['id']},9\n")
    again = folder / "again.parquet"
    low = ("--low-scoring", config, "--score", "clip", "--below", 5)
    result = manifest(again, *low, "--scores", folder / "scores.csv")
    assert result.exit_code == 0, result.output
    assert "low 1 of 2 completed rows with a score" in " ".join(result.stdout.split())
    assert "left out 1 completed rows without a score" in " ".join(result.stdout.split())
    assert pq.read_table(again)["id"].to_pylist() == [records[0]["id"]]
    without = manifest(folder / "n.parquet", *low)
    assert without.exit_code == 2
    assert "no column 'clip'" in without.stderr


def test_low_scores_require_a_column_and_a_bound(tmp_path: Path) -> None:
    result = manifest(tmp_path / "m.parquet", "--low-scoring", "run.yaml", "--score", "clip")
    assert result.exit_code == 2
    assert "--below" in result.stderr


@pytest.mark.parametrize(
    ("option", "value", "needed"),
    [
        ("--score", "clip", "--low-scoring"),
        ("--below", "0", "--low-scoring"),
        ("--scores", "s.csv", "--low-scoring"),
        ("--code", "internal", "--failed"),
        ("--column", "prompt=p", "--from"),
        ("--base-uri", "s3://b", "--from"),
    ],
)
def test_an_option_without_the_one_that_it_needs_is_rejected(
    tmp_path: Path, option: str, value: str, needed: str
) -> None:
    result = manifest(tmp_path / "m.parquet", "--prompt", "a", option, value)
    assert result.exit_code == 2
    assert f"{option}: goes with {needed}, which is missing" in " ".join(
        result.stderr.replace("│", " ").split()
    )
    assert not (tmp_path / "m.parquet").exists()


def test_prompts_come_from_a_column_of_a_table(folder: Path) -> None:
    (folder / "prompts.csv").write_text("n;caption\n1;in the snow\n2;at night\n", encoding="utf-8")
    out = folder / "m.parquet"
    given = ("--prompts", folder / "prompts.csv", "--column", "prompt=caption")
    assert manifest(out, *given).exit_code == 0
    assert pq.read_table(out)["prompt"].to_pylist() == ["in the snow", "at night"]
    other = ("--prompts", folder / "prompts.csv", "--column", "seed=n")
    result = manifest(out, *other, "--force")
    assert result.exit_code == 2
    assert "only prompt=THEIRS" in result.stderr


def test_the_facts_as_json(folder: Path) -> None:
    (folder / "photos" / "notes.txt").touch()
    result = manifest(
        folder / "m.parquet", "--content", folder / "photos", "--prompt", "", "--json"
    )
    assert result.exit_code == 0, result.output
    facts = json.loads(result.stdout)
    assert facts["uri"] == str(folder / "m.parquet")
    assert facts["rows"] == facts["contents"] == len(pq.read_table(folder / "m.parquet"))
    assert facts["columns"] == ["id", "content_image", "prompt"]
    assert facts["left_out"] == {".txt": 1}


def test_chosen_rows_are_taken_again(folder: Path) -> None:
    out, config, ids = folder / "m.parquet", folder / "run.yaml", folder / "starred.csv"
    manifest(out, "--prompt", "a", "--prompt", "b", "--prompt", "c")
    config.write_text(
        f"manifest: {{path: {out}}}\noutput: {{path: {folder}/out}}\nmodel: {{base: tiny}}\n"
    )
    first, _, third = (entry.row.id for entry in opened(out).entries())
    ids.write_text(f"id\n{third}\n{first}\n")
    same, new = folder / "same.parquet", folder / "new.parquet"
    result = manifest(same, "--chosen", config, "--ids", ids)
    assert result.exit_code == 0, result.output
    assert f"chosen 2 ids of {ids}" in " ".join(result.stdout.split())
    assert "seeds" not in result.stdout
    assert manifest(new, "--chosen", config, "--ids", ids, "--new-seeds").exit_code == 0
    tables = [pq.read_table(path) for path in (same, new)]
    assert [table["id"].to_pylist() for table in tables] == [[first, third]] * 2
    seeds = {seed for table in tables for seed in table["seed"].to_pylist()}
    assert len(seeds) == 4
    ids.write_text("id\nnobody\n")
    unknown = manifest(folder / "n.parquet", "--chosen", config, "--ids", ids)
    assert unknown.exit_code == 2
    assert "1 of 1 ids have no row in" in unknown.stderr
    assert "'nobody'" in unknown.stderr


def test_options_of_another_source_are_rejected(tmp_path: Path) -> None:
    for options in (
        ("--chosen", "run.yaml"),
        ("--ids", "ids.csv", "--prompt", "a"),
        ("--failed", "run.yaml", "--new-seeds"),
        ("--failed", "run.yaml", "--column", "prompt=text"),
        ("--failed", "run.yaml", "--chosen", "run.yaml", "--ids", "ids.csv"),
    ):
        assert manifest(tmp_path / "m.parquet", *options).exit_code == 2, options
