"""`uso verify`: the output of a real run, its problems and exit codes."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from jobs.cli import app
from pipelines.formats import LayoutName
from pipelines.packing.pack import pack
from pipelines.storage.storage import Storage
from tests.pipelines.packing.outputs import LAYOUTS, generated, request
from tests.pipelines.replay.outputs import drawn, rewritten, varied
from tests.pipelines.tools.report.outputs import commit


def verify(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["verify", str(folder / "out"), *arguments])


def test_the_output_of_a_run_is_whole_until_a_byte_changes(tmp_path: Path) -> None:
    drawn(tmp_path, [{"prompt": "a", "width": 32, "height": 32, "num_steps": 1}] * 2)
    done = verify(tmp_path)
    assert done.exit_code == 0, done.output
    assert "records    2, 2 of them completed, in 1 files" in done.stdout
    assert "Nothing is wrong." in done.stdout
    (image,) = (tmp_path / "out" / "images").rglob("r1.png")
    image.write_bytes(image.read_bytes()[:-1] + b"x")
    done = verify(tmp_path, "--json", "--problems", str(tmp_path / "p.parquet"))
    assert done.exit_code == 4
    (problem,) = json.loads(done.stdout)["problems"]
    assert (problem["kind"], problem["examples"]) == ("image_changed", ["r1"])
    (row,) = pq.read_table(tmp_path / "p.parquet").to_pylist()
    assert (row["row_id"], row["uri"]) == ("r1", str(image))
    text = verify(tmp_path).stdout
    assert "1 problem" in text


def test_a_folder_without_records_is_wrong_input(tmp_path: Path) -> None:
    done = verify(tmp_path)
    assert (done.exit_code, "no records and no shards; check the path" in done.output) == (2, True)


VALUES: dict[str, Any] = {
    "prompt": "another",
    "seed": 77,
    "guidance": 2.0,
    "num_steps": 2,
    "style_images": ["/elsewhere.png"],
    "fingerprint": "0" * 32,
}


@pytest.mark.parametrize("name", VALUES)
def test_one_changed_value_of_a_record_is_found(tmp_path: Path, name: str) -> None:
    drawn(tmp_path, [{"prompt": "a", "width": 32, "height": 32, "num_steps": 1}] * 2)
    output = Storage.at(str(tmp_path / "out"))
    changed = {name: VALUES[name]}
    rewritten(output, lambda record: record.update(changed if record["id"] == "r1" else {}))
    for listed in (True, False):
        done = verify(tmp_path, "--json")
        assert done.exit_code == 4
        found = {each["kind"]: each["examples"] for each in json.loads(done.stdout)["problems"]}
        assert found.pop("record_changed") == ["r1"]
        assert [*found] == (["records_changed"] if listed else [])
        output.delete("run/records.sha256")


@pytest.mark.parametrize("damage", ["gone", "damaged", "another id"])
def test_records_whose_run_file_is_lost_are_not_said_to_be_right(
    tmp_path: Path, damage: str
) -> None:
    drawn(tmp_path, [{"prompt": "a", "width": 32, "height": 32, "num_steps": 1}] * 2)
    output = Storage.at(str(tmp_path / "out"))
    (path,) = (path for path in output.list("run") if path.endswith(".json"))
    if damage == "gone":
        output.delete(path)
    elif damage == "damaged":
        output.write(path, output.read(path)[:100])
    else:
        rewritten(output, lambda record: record.update(run_id="another", prompt="changed"))
        output.delete("run/records.sha256")
        path = "run/another.json"
    done = verify(tmp_path, "--json")
    (problem,) = json.loads(done.stdout)["problems"]
    assert (done.exit_code, problem["kind"], problem["rows"]) == (4, "run_missing", 2)
    assert problem["examples"] == [output.uri(path)]


def test_a_configuration_of_another_version_is_a_note(tmp_path: Path) -> None:
    drawn(tmp_path, [{"prompt": "a", "width": 32, "height": 32, "num_steps": 1}])
    output = Storage.at(str(tmp_path / "out"))
    (path,) = (path for path in output.list("run") if path.endswith(".json"))
    document = json.loads(output.read(path))
    document["config"]["stylize"]["of_the_future"] = 1
    output.write(path, json.dumps(document).encode())
    done = verify(tmp_path, "--json")
    (problem,) = json.loads(done.stdout)["problems"]
    assert (done.exit_code, problem["kind"], problem["severity"]) == (0, "run_unread", "note")


def test_varied_rows_give_their_fingerprints(tmp_path: Path) -> None:
    drawn(tmp_path, varied(12))
    done = verify(tmp_path)
    assert done.exit_code == 0, done.output
    text = (tmp_path / "out" / "run" / "records.sha256").read_text()
    hashed = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  records/{path.name}"
        for path in sorted((tmp_path / "out" / "records").iterdir())
    ]
    assert text.splitlines() == hashed


@pytest.mark.parametrize("layout", LAYOUTS)
def test_images_in_shards_are_checked(tmp_path: Path, layout: LayoutName) -> None:
    output = Storage.at(str(tmp_path / "out"))
    commit(output, generated(output, "a", images=2), generated(output, "b", seed=1))
    document = {
        "config": {"output": {"layout": "of the future"}},
        "model": {"name": "", "fingerprint": ""},
    }
    output.write("run/20260101T000000-r.json", json.dumps(document).encode())
    dest = Storage.at(str(tmp_path / "out" / layout))
    pack(request(output, dest, layout))
    assert verify(tmp_path).exit_code == 0
    alone = CliRunner().invoke(app, ["verify", str(tmp_path / "out" / layout)])
    assert alone.exit_code == 0, alone.output
    assert "3 images" in alone.stdout
    (path,) = [
        path
        for path in (tmp_path / "out" / layout).rglob("*")
        if (path.is_file() and path.suffix in (".tar", ".parquet")) or path.name == "b.png"
    ]
    data = bytearray(path.read_bytes())
    for found in re.finditer(b"IDAT", bytes(data)):  # one is in the statistics of a page
        data[found.end() + 16] ^= 1
    path.write_bytes(bytes(data))
    done = verify(tmp_path, "--json")
    assert done.exit_code == 4
    kinds = {problem["kind"] for problem in json.loads(done.stdout)["problems"]}
    assert kinds <= {"sample_changed", "shard_damaged", "run_unread"}
    path.unlink()
    assert verify(tmp_path).exit_code == 4
