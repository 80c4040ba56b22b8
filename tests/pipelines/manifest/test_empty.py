"""A manifest without rows is wrong input; a shard without rows is not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from jobs.cli import app
from pipelines.errors import ManifestError
from tests.pipelines.manifests import opened, write

NOTHING = pa.table({"prompt": pa.array([], pa.string())})


def two_files(folder: Path) -> str:
    write(folder / "many/1.parquet", NOTHING)
    write(folder / "many/2.parquet", NOTHING)
    return "many"


def text(name: str, content: str) -> Callable[[Path], str]:
    def made(folder: Path) -> str:
        (folder / name).write_text(content)
        return name

    return made


def parquet(folder: Path) -> str:
    return write(folder / "m.parquet", NOTHING).name


MADE: dict[str, Callable[[Path], str]] = {
    "Parquet": parquet,
    "Parquet files": two_files,
    "a header of CSV": text("m.csv", "prompt\n"),
    "CSV of blank lines": text("m.csv", "prompt\n\n\n"),
    "JSON Lines": text("m.jsonl", ""),
    "JSON Lines of blank lines": text("m.jsonl", "\n \n"),
    "an eval list": text("m.json", "[]"),
    "an empty folder": lambda _: ".",
    "a folder of other files": lambda folder: text("none.txt", "")(folder) and ".",
    "a glob": lambda _: "*.parquet",
}


@pytest.mark.parametrize("name", MADE)
def test_a_manifest_without_rows_is_an_error(tmp_path: Path, name: str) -> None:
    where = MADE[name](tmp_path)
    with pytest.raises(ManifestError, match=r"no rows|has rows|nothing to read") as caught:
        opened(f"{tmp_path}/{where}", defaults={"prompt": "p"})
    assert str(tmp_path) in caught.value.where


def test_one_row_among_empty_files_is_enough(tmp_path: Path) -> None:
    two_files(tmp_path)
    write(tmp_path / "many/3.parquet", {"prompt": ["a"]})
    assert len(list(opened(tmp_path / "many").entries())) == 1


def test_a_shard_without_rows_is_none(tmp_path: Path) -> None:
    path = write(tmp_path / "m.parquet", {"id": ["a"], "prompt": ["p"]})
    shards = [opened(path, manifest={"shard": f"{number}/4"}) for number in range(4)]
    assert sorted(len(list(shard.entries())) for shard in shards) == [0, 0, 0, 1]


def test_a_shard_of_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="no rows"):
        opened(tmp_path / parquet(tmp_path), manifest={"shard": "0/4"})


@pytest.mark.parametrize("command", ["run", "plan", "validate", "describe"])
def test_commands_end_with_the_code_of_wrong_input(tmp_path: Path, command: str) -> None:
    path = tmp_path / text("m.csv", "prompt\n")(tmp_path)
    config = tmp_path / "run.yaml"
    config.write_text(
        f"manifest: {{path: {path}}}\noutput: {{path: {tmp_path}/out}}\nmodel: {{base: tiny}}\n"
        "stylize: {gpus_per_actor: 0}\n"
    )
    result = CliRunner().invoke(app, [command, str(config)])
    assert result.exit_code == 2, result.output
    assert "has no rows" in result.output
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["Parquet", "a header of CSV", "JSON Lines"])
def test_uso_manifest_writes_no_file_without_rows(tmp_path: Path, name: str) -> None:
    path, out = tmp_path / MADE[name](tmp_path), tmp_path / "out.parquet"
    result = CliRunner().invoke(app, ["manifest", str(out), "--from", str(path)])
    assert result.exit_code == 2, result.output
    assert not out.exists()
