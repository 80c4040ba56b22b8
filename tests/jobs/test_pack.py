from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from jobs.cli import app
from pipelines.storage.storage import Storage
from tests.integration.harness import run_uso
from tests.pipelines.packing.outputs import digests, expected_digests, generated
from tests.pipelines.tools.report.outputs import commit, failed


@pytest.fixture
def output(tmp_path: Path) -> Path:
    storage = Storage.at(str(tmp_path / "run"))
    commit(storage, generated(storage, "a", images=2), failed("b"))
    return tmp_path / "run"


def pack(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["pack", *map(str, arguments)])


def test_the_dataset_goes_into_the_output_by_default(output: Path) -> None:
    result = pack(output, "--layout", "webdataset")
    assert result.exit_code == 0, result.output
    assert f"dataset  {output}/webdataset" in result.stdout
    assert "2 images of 1 rows in 1 shards, 1 of them written now" in result.stdout
    assert (output / "webdataset/data/train-00000-of-00001.tar").is_file()


def test_the_dataset_goes_to_another_folder(output: Path, tmp_path: Path) -> None:
    folder = tmp_path / "packed"
    folder.mkdir()
    (folder / "README.md").write_text("# Mine\n")
    result = pack(output, "--layout", "parquet", "--to", folder)
    assert result.exit_code == 0, result.output
    assert "README.md is not from uso, so it was not replaced" in result.stdout
    assert "download_mode='force_redownload'" in result.stdout
    assert (folder / "README.md").read_text() == "# Mine\n"
    assert not (output / "parquet").exists()
    again = generated(Storage.at(str(output)), "a", images=2)
    assert digests(Storage.at(str(folder))) == expected_digests(again)


def test_an_output_without_records_is_an_error_and_nothing_is_written(tmp_path: Path) -> None:
    result = pack(tmp_path / "nothing", "--layout", "parquet")
    assert result.exit_code == 2
    assert "no completed rows; check the path" in result.stderr
    assert not (tmp_path / "nothing").exists()


def test_a_missing_image_is_an_error(output: Path) -> None:
    for path in output.glob("images/*/a_1.png"):
        path.unlink()
    result = pack(output, "--layout", "webdataset")
    assert result.exit_code == 2
    assert "row 'a': its image" in result.stderr
    assert "restore the files" in result.stderr
    assert "--skip-missing" in result.stderr
    result = pack(output, "--layout", "webdataset", "--skip-missing")
    assert result.exit_code == 2
    assert "no completed rows whose images are there" in result.stderr


def test_rows_with_missing_images_are_left_out_if_asked(output: Path) -> None:
    storage = Storage.at(str(output))
    whole = generated(storage, "whole", seed=7)
    commit(storage, whole)
    for path in output.glob("images/*/a_1.png"):
        path.unlink()
    result = pack(output, "--layout", "webdataset", "--skip-missing")
    assert result.exit_code == 0, result.output
    listed = output / "webdataset/not-packed.jsonl"
    assert f"left out 1 rows with lost images: {listed}" in result.stdout
    assert digests(Storage.at(f"{output}/webdataset")) == expected_digests(whole)
    assert listed.is_file()


def test_a_layout_is_required(output: Path) -> None:
    assert pack(output).exit_code == 2
    assert pack(output, "--layout", "zip").exit_code == 2


def test_the_facts_as_json(output: Path) -> None:
    result = pack(output, "--layout", "parquet", "--json")
    assert result.exit_code == 0, result.output
    facts = json.loads(result.stdout)
    packed = pq.read_table(output / "parquet" / "data")
    assert facts["uri"] == f"{output}/parquet"
    assert (facts["images"], facts["shards"]) == (len(packed), 1)


def test_chosen_rows_are_packed_into_a_folder_of_their_own(output: Path, tmp_path: Path) -> None:
    storage = Storage.at(str(output))
    commit(storage, generated(storage, "c"), generated(storage, "d"))
    ids, folder = tmp_path / "starred.csv", tmp_path / "chosen"
    ids.write_text("id\nd\na\n")
    chosen = ("--layout", "parquet", "--ids", ids)
    assert "needs --to FOLDER" in pack(output, *chosen).stderr
    result = pack(output, *chosen, "--to", folder)
    assert result.exit_code == 0, result.output
    assert "3 images of 2 rows" in result.stdout
    table = pq.read_table(folder / "data")
    assert sorted(set(table["row_id" if "row_id" in table.column_names else "id"].to_pylist())) == [
        "a",
        "d",
    ]
    ids.write_text("b\nnobody\n")
    unknown = pack(
        output, "--layout", "parquet", "--ids", ids.rename(tmp_path / "ids.txt"), "--to", folder
    )
    assert unknown.exit_code == 2
    assert f"2 of 2 ids have no row in the completed rows of {output}: 'b', 'nobody'" in " ".join(
        unknown.stderr.split()
    )


@pytest.mark.ray
@pytest.mark.timeout(200)
def test_tasks_of_a_cluster_write_the_same_shards(output: Path, tmp_path: Path) -> None:
    here = pack(output, "--layout", "webdataset", "--to", tmp_path / "here")
    # In a process of its own: Ray leaves variables in the environment of one that started it.
    to = ("--to", str(tmp_path / "there"), "--ray", "local")
    code, said = run_uso("pack", str(output), "--layout", "webdataset", *to)
    assert (here.exit_code, code) == (0, 0), said
    shard = "data/train-00000-of-00001.tar"
    assert (tmp_path / "there" / shard).read_bytes() == (tmp_path / "here" / shard).read_bytes()


def test_a_cluster_that_is_not_there_is_named(output: Path) -> None:
    result = pack(output, "--layout", "webdataset", "--ray", "127.0.0.1:1")
    assert result.exit_code == 1
    assert "there is no Ray at ray.address '127.0.0.1:1'" in result.output
