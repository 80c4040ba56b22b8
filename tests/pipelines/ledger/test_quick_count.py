"""Quick counts are those of a scan."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.errors import LedgerError
from pipelines.ledger import quick_count
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.left_out import ManifestLook, write_left_out
from pipelines.ledger.quick_count import count_ledger
from pipelines.ledger.scan import scan_ledger
from pipelines.storage.storage import Storage
from tests.pipelines.records import SCHEMA, completed, failed

CODES = ("uri_not_found", "uri_timeout", "image_corrupt")
RECORD = st.tuples(
    st.sampled_from([None, *CODES]), st.booleans(), st.one_of(st.none(), st.integers(0, 9))
)
LOOK = ManifestLook("m.parquet", "run-1", "2026-01-01T00:00:00Z")


def record(number: int, code: str | None, again: bool, shared: int | None) -> dict[str, Any]:
    row_id = f"row-{number}" if shared is None else f"shared-{shared}"
    if code is None:
        return completed(row_id, at=number)
    return failed(row_id, at=number, code=code, retryable=again)


def written(folder: str, parts: list[list[dict[str, Any]]]) -> Storage:
    """Return an output with these parts; an id may be in several of them."""
    storage = Storage.at(folder)
    for records in parts:
        Ledger.open(storage, SCHEMA).append(records)
    return storage


@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(RECORD, min_size=1, max_size=8), max_size=3))
def test_a_quick_count_is_that_of_a_scan(drawn: list[list[Any]]) -> None:
    parts = [
        [record(10 * part + place, *facts) for place, facts in enumerate(records)]
        for part, records in enumerate(drawn)
    ]
    with tempfile.TemporaryDirectory() as folder:
        storage = written(folder, parts)
        found = count_ledger(storage)
        expected = scan_ledger(storage).counts()
        assert found.counts == expected
        assert list(found.counts.failed_by_code) == list(expected.failed_by_code)
        assert set(SCHEMA.names) <= found.columns or not parts


def test_usual_records_are_not_scanned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = written(str(tmp_path), [[completed("a"), failed("b")], [completed("c")]])
    expected = scan_ledger(storage).counts()
    monkeypatch.delattr(quick_count, "scan_ledger")
    assert count_ledger(storage).counts == expected


def test_records_that_do_not_count(tmp_path: Path) -> None:
    storage = written(str(tmp_path), [[completed("a"), completed("b")]])
    write_left_out(storage, iter([pa.array(["b"])]), 10**18, LOOK)
    counts = count_ledger(storage).counts
    assert (counts.completed, counts.left_out, counts.look) == (1, 1, LOOK)


def test_a_damaged_part_is_named(tmp_path: Path) -> None:
    storage = written(str(tmp_path), [[completed("a")]])
    (path,) = (tmp_path / "records").iterdir()
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(LedgerError, match="not a complete Parquet file"):
        count_ledger(storage)
