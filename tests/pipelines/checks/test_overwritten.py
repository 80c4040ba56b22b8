"""Notes of replaced images: a record whose image is another file is found, and others are not."""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path

from pipelines.checks.images import LostImage
from pipelines.checks.overwritten import settle_overwritten
from pipelines.image_names import OVERWRITTEN, overwrite_note, path_in_output
from pipelines.ledger.records import all_records
from pipelines.storage.storage import Storage
from tests.pipelines.packing.outputs import generated
from tests.pipelines.tools.report.outputs import commit


def replace(output: Storage, uri: str, data: bytes, *, with_file: bool = True) -> None:
    """Do as a worker that may be killed before it has written the file."""
    path = path_in_output(uri)
    assert path is not None
    output.write(overwrite_note(path, hashlib.sha256(data).hexdigest()), b"")
    if with_file:
        output.write(path, data)


def settle(output: Storage) -> list[LostImage]:
    return settle_overwritten(output, partial(all_records, output))


def test_only_the_record_whose_file_is_gone_is_false(tmp_path: Path) -> None:
    output = Storage.at(str(tmp_path / "out"))
    rows = {name: generated(output, name, seed=n) for n, name in enumerate("abcde")}
    first = {name: Path(row["outputs"][0]).read_bytes() for name, row in rows.items()}
    commit(output, *(rows[name] for name in "abcd"))
    assert settle(output) == []
    replace(output, rows["a"]["outputs"][0], b"killed before its record")
    replace(output, rows["b"]["outputs"][0], b"killed before its file", with_file=False)
    replace(output, rows["c"]["outputs"][0], first["c"])  # its new record was written
    replace(output, rows["e"]["outputs"][0], b"a row without a record")
    assert [image.row_id for image in settle(output)] == ["a"]
    assert len(output.list(OVERWRITTEN)) == 1
    assert [image.row_id for image in settle(output)] == ["a"]  # until it is mended
    replace(output, rows["a"]["outputs"][0], first["a"])
    assert settle(output) == []
    assert output.list(OVERWRITTEN) == []


def test_an_image_that_was_replaced_twice_is_read(tmp_path: Path) -> None:
    output = Storage.at(str(tmp_path / "out"))
    row = generated(output, "a")
    first = Path(row["outputs"][0]).read_bytes()
    commit(output, row)
    replace(output, row["outputs"][0], first)
    replace(output, row["outputs"][0], b"another try")
    assert [image.row_id for image in settle(output)] == ["a"]
    assert len(output.list(OVERWRITTEN)) == 2
