from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.image_names import image_path
from pipelines.ledger.part_digests import save_part_digests
from pipelines.storage.storage import Storage
from pipelines.tools.problems import Findings
from pipelines.tools.verification.counts import VerifyCounts
from pipelines.tools.verification.image_checks import IMAGE_CHECKS, Fault, RecordedImage
from pipelines.tools.verification.verify import OutputVerifier
from tests.pipelines.packing.outputs import generated
from tests.pipelines.pictures import encode, picture
from tests.pipelines.replay.outputs import rewritten
from tests.pipelines.tools.report.outputs import commit, failed

Change = Callable[[dict[str, Any]], None]


@pytest.fixture
def output(tmp_path: Path) -> Storage:
    return Storage.at(str(tmp_path / "out"))


def verified(output: Storage) -> tuple[VerifyCounts, Findings]:
    found = Findings()
    counts = OutputVerifier(output, IMAGE_CHECKS, found).verify()
    found.kinds.pop(("error", "run_missing", None), None)  # no run has made these outputs
    return counts, found


def kinds(output: Storage) -> dict[str, list[str]]:
    """Return the examples of each kind of error."""
    _, found = verified(output)
    return {
        kind: each.examples
        for (severity, kind, _), each in found.kinds.items()
        if severity == "error"
    }


def filled(output: Storage) -> dict[str, dict[str, Any]]:
    rows = [
        generated(output, "a", images=3),
        generated(output, "b", seed=1, ext="jpg"),
        generated(output, "Größe 1/2", seed=2, ext="webp"),
    ]
    commit(output, *rows, failed("f"))
    return {row["id"]: row for row in rows}


def test_a_whole_output_has_no_problem(storage: Storage) -> None:
    rows = filled(storage)
    counts, found = verified(storage)
    assert found.kinds == {}
    sizes = [size for row in rows.values() for size in row["image_bytes"]]
    assert counts == VerifyCounts(1, 4, 3, 5, sum(sizes))


@pytest.mark.parametrize("place", [0, 40, -1])
def test_one_other_byte_of_an_image_is_found(output: Storage, place: int) -> None:
    filled(output)
    path = image_path("a", 1, 3, "png")
    data = bytearray(output.read(path))
    data[place] ^= 1
    output.write(path, bytes(data))
    assert kinds(output) == {"image_changed": ["a"]}


def test_a_lost_an_empty_and_an_unrecorded_image_are_found(storage: Storage) -> None:
    output = storage
    filled(output)
    output.delete(image_path("a", 2, 3, "png"))
    output.write(image_path("b", 0, 1, "jpg"), b"")
    for path in (image_path("a", 0, 1, "png"), "pictures/album/one.png"):
        output.write(path, encode(picture(8, 8), "PNG"))
    found = kinds(output)
    others = [output.uri(path) for path in (image_path("a", 0, 1, "png"), "pictures/album/one.png")]
    assert found == {"image_missing": ["a"], "image_empty": ["b"], "unrecorded_image": others}


def _swap(record: dict[str, Any]) -> None:
    record["outputs"] = record["outputs"][::-1]
    record["sha256"] = record["sha256"][::-1]
    record["image_bytes"] = record["image_bytes"][::-1]


CHANGES: dict[str, tuple[Change, str]] = {
    "hash": (lambda it: it["sha256"].__setitem__(1, "0" * 64), "image_changed"),
    "size": (lambda it: it["image_bytes"].__setitem__(0, 7), "record_changed"),
    "width": (lambda it: it.update(width=25), "image_dimensions"),
    "height": (lambda it: it.update(height=None), "image_dimensions"),
    "order": (_swap, "image_of_another_row"),
    "steps": (lambda it: it.update(num_steps=None), "record_changed"),
    "uri": (lambda it: it["outputs"].__setitem__(0, "https://elsewhere/x.png"), "record_changed"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_another_value_of_a_record_is_found(output: Storage, name: str) -> None:
    record = generated(output, "a", images=3)
    change, kind = CHANGES[name]
    change(record)
    commit(output, record, generated(output, "b"))
    found = kinds(output)
    found.pop("unrecorded_image", None)
    assert {kind: set(ids) for kind, ids in found.items()} == {kind: {"a"}}


def test_a_file_of_another_format_is_found(output: Storage) -> None:
    record = generated(output, "a")
    data = encode(picture(24, 16), "JPEG")
    output.write(image_path("a", 0, 1, "png"), data)
    record |= {"sha256": [hashlib.sha256(data).hexdigest()], "image_bytes": [len(data)]}
    commit(output, record)
    assert kinds(output) == {"image_format": ["a"]}
    record = generated(output, "b")
    output.write(image_path("b", 0, 1, "png"), b"text")
    record |= {"sha256": [hashlib.sha256(b"text").hexdigest()], "image_bytes": [4]}
    commit(output, record)
    assert kinds(output) == {"image_format": ["a"], "image_unreadable": ["b"]}


def test_a_damaged_part_hides_no_other_problem(output: Storage) -> None:
    filled(output)
    (whole,) = output.list("records")
    commit(output, generated(output, "c"), generated(output, "d"))
    damaged = next(path for path in output.list("records") if path != whole)
    output.write(damaged, output.read(damaged)[:-1])
    output.write(image_path("b", 0, 1, "jpg"), b"x")
    found = kinds(output)
    assert found["records_damaged"] == [output.uri(damaged)]
    assert found["image_changed"] == ["b"]
    assert len(found["unrecorded_image"]) == 2


def test_each_other_byte_of_a_listed_part_is_found(output: Storage) -> None:
    commit(output, generated(output, "a", images=2), failed("f"))
    save_part_digests(output)
    assert kinds(output) == {}
    (path,) = output.list("records")
    data = output.read(path)
    for place in np.random.default_rng(0).choice(len(data), 40, replace=False).tolist():
        damaged = bytearray(data)
        damaged[place] ^= 0x10
        output.write(path, bytes(damaged))
        assert kinds(output).keys() & {"records_changed", "records_damaged"}


@pytest.mark.parametrize("damage", ["cut", "column"])
def test_a_listed_part_that_is_damaged_is_not_said_to_be_gone(output: Storage, damage: str) -> None:
    commit(output, failed("f"))
    save_part_digests(output)
    (path,) = output.list("records")
    data = output.read(path)
    if damage == "column":
        sink = pa.BufferOutputStream()
        pq.write_table(pq.read_table(pa.BufferReader(data)).drop_columns(["sha256"]), sink)
        data = sink.getvalue().to_pybytes()
    output.write(path, data if damage == "column" else data[:-9])
    assert kinds(output) == {"records_damaged": [output.uri(path)]}


def test_a_part_that_was_written_anew_or_is_gone_is_found(output: Storage) -> None:
    filled(output)
    commit(output, generated(output, "c"))
    save_part_digests(output)
    first, second = output.list("records")
    rewritten(output, lambda record: record.update(attempt=7))
    uris = [output.uri(first), output.uri(second)]
    assert kinds(output) == {"records_changed": uris}
    output.delete(second)
    found = kinds(output)
    assert found["records_missing"] == [output.uri(second)]


def test_a_part_of_a_killed_run_is_a_note(output: Storage) -> None:
    filled(output)
    save_part_digests(output)
    (listed,) = output.list("records")
    commit(output, generated(output, "c"))
    _, found = verified(output)
    assert [*found.kinds] == [("note", "records_unlisted", None)]
    data = output.read(listed)
    output.delete(listed)  # as after a compaction that was killed before it could write the list
    output.write(listed.replace("-00000000-", "-00000009-"), data)
    _, found = verified(output)
    assert {severity for severity, _, _ in found.kinds} == {"note"}


def test_an_older_record_of_an_id_is_a_note(output: Storage) -> None:
    filled(output)
    commit(output, generated(output, "b", seed=5, ext="jpg", at=1))
    _, found = verified(output)
    (key,) = found.kinds
    assert key == ("note", "repeated_id", "id")
    assert found.kinds[key].examples == ["b"]


def test_a_check_of_ones_own_sees_each_image_with_its_record(output: Storage) -> None:
    rows = filled(output)

    def refuse(image: RecordedImage, data: bytes) -> Any:
        assert hashlib.sha256(data).hexdigest() == rows[image.record["id"]]["sha256"][image.index]
        if image.index == 2:
            yield Fault("mine", image.record["prompt"])

    found = Findings()
    OutputVerifier(output, [*IMAGE_CHECKS, refuse], found).verify()
    assert {key[1] for key in found.kinds} == {"mine", "run_missing"}
