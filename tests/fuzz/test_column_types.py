"""A user's column of any type: manifest, record, resume, report, shards and `datasets`."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import strategies as st

from pipelines.formats import LAYOUT_SUMMARIES
from pipelines.image_names import image_path
from pipelines.ledger.ledger import Ledger, iter_records
from pipelines.manifest.manifest import Manifest
from pipelines.packing.pack import pack
from pipelines.record import RunFacts, make_record, record_schema
from pipelines.rows import Outcome
from pipelines.storage.storage import Storage
from tests.fuzz.arrow_types import TYPES, column, exact
from tests.fuzz.fuzzed import fuzzed
from tests.pipelines.manifests import CARD, config
from tests.pipelines.packing.outputs import request
from tests.pipelines.pictures import encode, picture
from tests.pipelines.tools.report.outputs import reported

_ROWS = 4
_IMAGE = encode(picture(8, 8), "PNG")
_HASH = hashlib.sha256(_IMAGE).hexdigest()
_FACTS = RunFacts(run_id="run", model="base", preset="exact")


@st.composite
def _tables(draw: st.DrawFn) -> pa.Table:
    kinds = draw(st.lists(TYPES, min_size=4, max_size=12))
    own = {f"c{at}": draw(column(kind, _ROWS)) for at, kind in enumerate(kinds)}
    return pa.table({"id": [f"r{at}" for at in range(_ROWS)], "prompt": ["p"] * _ROWS, **own})


def _recorded(manifest: Manifest, output: Storage) -> None:
    """Record all rows, in two parts."""
    ledger = Ledger.open(output, record_schema(manifest.extra_schema))
    entries = list(manifest.entries())
    for some in (entries[:1], entries[1:]):
        records = []
        for entry in some:
            uri = output.write(image_path(entry.row.id, 0, 1, "png"), _IMAGE)
            outcome = Outcome(
                row_id=entry.row.id, outputs=(uri,), sha256=(_HASH,), width=8, height=8
            )
            stamp = ledger.stamp()
            records.append(make_record(entry, outcome, _FACTS, attempt=1, created_at=stamp))
        ledger.append(records)
    ledger.compact()


def _cells(batches: Iterator[pa.RecordBatch], name: str) -> list[Any]:
    """Return the cells of a column, in the order of the ids."""
    found: dict[str, Any] = {}
    for batch in batches:
        found |= dict(zip(batch["id"].to_pylist(), map(exact, batch[name]), strict=True))
    return [found[row_id] for row_id in sorted(found)]


@fuzzed(_tables(), few=2)
def test_any_column_type(table: pa.Table) -> None:
    with tempfile.TemporaryDirectory(prefix="uso-fuzz-") as root:
        folder = Path(root)
        output = _run_twice(table, folder)
        own = table.schema.names[2:]
        given = {name: [exact(cell) for cell in table[name]] for name in own}
        for name in own:
            assert _cells(iter_records(output, ["id", name]), name) == given[name], table[name].type
        reported(output, Storage.at(str(folder / "report")))
        for layout in LAYOUT_SUMMARIES:
            pack(request(output, Storage.at(str(folder / layout)), layout))
        packed = pq.read_table(folder / "parquet" / "data")
        card = (folder / "parquet" / "README.md").read_text(encoding="utf-8").splitlines()
        for name in own:
            if not any(f"`{name}`" in line and "converted" in line for line in card):
                assert _cells(iter(packed.to_batches()), name) == given[name], table[name].type


@fuzzed(_tables(), few=1)
def test_datasets_loads_any_column_type(table: pa.Table) -> None:
    with tempfile.TemporaryDirectory(prefix="uso-fuzz-") as root:
        folder = Path(root)
        output = _run_twice(table, folder)
        for layout in LAYOUT_SUMMARIES:
            pack(request(output, Storage.at(str(folder / layout)), layout))
            data = datasets.load_dataset(
                str(folder / layout), split="train", cache_dir=str(folder / "cache")
            )
            assert len(data.with_format("arrow")[:]) == _ROWS


def _run_twice(table: pa.Table, folder: Path) -> Storage:
    """Record all rows; the second run reads what the first has written."""
    pq.write_table(table, folder / "m.parquet", row_group_size=2)
    output = Storage.at(str(folder / "out"))
    for _ in range(2):
        _recorded(Manifest.open(config(folder / "m.parquet"), CARD), output)
    return output
