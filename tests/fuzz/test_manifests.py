"""Any manifest gives one entry with a unique id per row, and each can be recorded."""

from __future__ import annotations

import json
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path

import pyarrow as pa
from hypothesis import strategies as st

from pipelines.errors import ManifestError
from pipelines.failures import Failure
from pipelines.image_names import image_path
from pipelines.ledger.ledger import Ledger, iter_records
from pipelines.manifest.manifest import Manifest
from pipelines.record import RunFacts, make_record, record_schema
from pipelines.rows import ManifestEntry, Outcome, RejectedRow
from pipelines.storage.storage import Storage
from tests.fuzz.fuzzed import fuzzed
from tests.fuzz.tables import ODD_TEXT, damaged, parquet, tables
from tests.pipelines.manifests import CARD, config

_RUN = RunFacts(run_id="run", model="base", preset="exact")
_WHOLE = parquet(
    pa.table(
        {
            "id": ["a", "b", None],
            "prompt": ["a boat", "", "\N{SNOWMAN}"],
            "style_images": [["a.png"], [], None],
            "num_steps": [1, 2, 3],
            "mine": [1.5, None, 2.5],
        }
    )
)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ODD_TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ODD_TEXT, inner, max_size=3),
    max_leaves=6,
)
_NAMES = st.sampled_from(
    ["id", "prompt", "content_image", "style_images", "style_weights", "width", "seed", "x"]
)
_LINES = st.lists(
    st.dictionaries(_NAMES, _JSON, max_size=5).map(json.dumps)
    | _JSON.map(json.dumps)
    | st.text(max_size=20),
    max_size=6,
)
_CELL = ODD_TEXT | st.sampled_from(['"', '""', '"a,b"', "a\nb", "\r"])


@contextmanager
def file_of(data: bytes, name: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="uso-fuzz-") as folder:
        path = Path(folder) / name
        path.write_bytes(data)
        yield path


def check_entries(manifest: Manifest, entries: list[ManifestEntry]) -> None:
    """Assert that ids are unique, and that the rows can be recorded and read back."""
    ids = [entry.row.id for entry in entries]
    assert len(set(ids)) == len(ids)
    assert len({image_path(row_id, 0, 1, "png") for row_id in ids}) == len(ids)
    now = datetime.now(timezone.utc)
    records = [
        make_record(entry, _outcome(entry), _RUN, attempt=1, created_at=now) for entry in entries
    ]
    storage = Storage.at(f"memory://{secrets.token_hex(8)}/out")
    Ledger.open(storage, record_schema(manifest.extra_schema)).append(records)
    read = [row["id"] for batch in iter_records(storage, ["id"]) for row in batch.to_pylist()]
    assert sorted(read) == sorted(ids)


def _outcome(entry: ManifestEntry) -> Outcome:
    row = entry.row
    failure: Failure | None = row.failure if isinstance(row, RejectedRow) else None
    return Outcome(row_id=row.id, failure=failure)


@fuzzed(tables())
def test_any_parquet_table(table: pa.Table) -> None:
    with file_of(parquet(table), "m.parquet") as path:
        try:
            manifest = Manifest.open(config(path), CARD)
        except ManifestError as error:
            assert str(error).startswith(error.where)
            return
        entries = list(manifest.entries())
        assert len(entries) == table.num_rows == manifest.total_rows
        check_entries(manifest, entries)


@fuzzed(damaged(_WHOLE))
def test_any_damage_to_a_parquet_file(data: bytes) -> None:
    with file_of(data, "m.parquet") as path:
        try:
            manifest = Manifest.open(config(path), CARD)
            entries = list(manifest.entries())
        except ManifestError as error:
            assert "m.parquet" in error.where
            return
        check_entries(manifest, entries)


@fuzzed(_LINES, st.sampled_from(["m.jsonl", "m.json"]))
def test_any_lines_of_json(lines: list[str], name: str) -> None:
    data = "\n".join(lines).encode(errors="surrogatepass")
    with file_of(data, name) as path:
        try:
            manifest = Manifest.open(config(path, defaults={"prompt": "x"}), CARD)
        except ManifestError:
            return
        entries = list(manifest.entries())
        if manifest.total_rows is not None:
            assert len(entries) == manifest.total_rows
        check_entries(manifest, entries)


@fuzzed(_JSON)
def test_any_eval_list(value: object) -> None:
    rows = [{"prompt": "x", "image_paths": value}, value]
    with file_of(json.dumps(rows).encode(), "m.json") as path:
        try:
            manifest = Manifest.open(config(path, defaults={"prompt": "x"}), CARD)
        except ManifestError:
            return
        entries = list(manifest.entries())
        assert len(entries) == 2
        check_entries(manifest, entries)


@fuzzed(st.lists(st.lists(_CELL, max_size=4), max_size=5), st.binary(max_size=20))
def test_any_csv(rows: list[list[str]], tail: bytes) -> None:
    text = "prompt,id,width\n" + "\n".join(",".join(row) for row in rows)
    with file_of(text.encode(errors="surrogatepass") + tail, "m.csv") as path:
        try:
            manifest = Manifest.open(config(path), CARD)
        except ManifestError:
            return
        check_entries(manifest, list(manifest.entries()))
