"""Values of plug-ins in the records, and in everything that reads records."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipelines.errors import ComposeError, LedgerError
from pipelines.failures import Failure
from pipelines.image_values import is_per_image
from pipelines.ledger.ledger import Ledger, iter_records
from pipelines.ledger.records import Records
from pipelines.packing.pack import PackRequest, pack
from pipelines.packing.samples import sample_schema, samples_of
from pipelines.record import RECORD_FIELDS, RunFacts, make_record, record_schema
from pipelines.rows import Entry, ManifestRow, Outcome
from pipelines.storage.storage import Storage
from pipelines.tools.compose.low_scores import low_scores
from pipelines.tools.report.records import load
from pipelines.tools.report.row_table import RowTable
from pipelines.tools.report.summary import Tally
from pipelines.worker.plugin_chain import plugin_columns
from tests.image_plugins import chosen
from tests.pipelines.packing.outputs import samples
from tests.pipelines.records import stored
from tests.pipelines.tools.report.outputs import generated, reported, rows_of
from uso_core.request import Parameters

NOTE = pa.schema([("note", pa.string())])
BRIGHTNESS = plugin_columns([chosen("BRIGHTNESS")], NOTE)
GLOW = plugin_columns([chosen("STRICT")], NOTE)


def record(
    ledger: Ledger, row_id: str, values: dict[str, tuple[Any, ...]] | None, images: int = 2
) -> dict[str, Any]:
    """The record of a row with these values; None: the row failed."""
    row = ManifestRow(row_id, "p", None, (), Parameters(num_images=images), "f00d")
    outcome = Outcome(
        row_id=row_id,
        failure=Failure("internal", "why") if values is None else None,
        outputs=tuple(f"/out/images/00/{row_id}_{n}.png" for n in range(images)),
        sha256=("0" * 64,) * images,
        image_values=values or {},
    )
    facts = RunFacts(run_id="r", model="tiny:0", preset="exact")
    entry = Entry(row, {"note": "mine"})
    return make_record(entry, outcome, facts, attempt=1, created_at=ledger.stamp())


def run(storage: Storage, columns: pa.Schema, rows: dict[str, Any]) -> None:
    """Record rows as a run with these columns does."""
    ledger = Ledger.open(storage, record_schema(NOTE, columns))
    ledger.append([record(ledger, row_id, values) for row_id, values in rows.items()])
    ledger.compact()


def bright(*levels: float | None) -> dict[str, tuple[Any, ...]]:
    return {"brightness": levels, "channel": tuple("RG"[: len(levels)])}


@pytest.fixture
def mixed(storage: Storage) -> Storage:
    """Three runs: without plug-ins, with one, and with another."""
    run(storage, pa.schema([]), {"a": {}})
    run(storage, BRIGHTNESS, {"b": bright(0.5, 0.2), "c": bright(0.9, None), "d": None})
    run(storage, GLOW, {"e": {"glow": (None, 1.0)}})
    return storage


def test_without_plugins_records_have_the_schema_that_they_always_had(storage: Storage) -> None:
    run(storage, pa.schema([]), {"a": {}})
    assert record_schema(NOTE).equals(pa.schema([*RECORD_FIELDS, *NOTE]), check_metadata=True)
    assert Records(storage).schema.equals(record_schema(NOTE), check_metadata=True)


def test_values_are_columns_of_the_records(mixed: Storage) -> None:
    found = {row["id"]: row for row in stored(mixed)}
    assert [found[row_id]["brightness"] for row_id in "abcde"] == [
        None, [0.5, 0.2], [0.9, None], None, None,
    ]  # fmt: skip
    assert [found[row_id]["glow"] for row_id in "abcde"] == [None] * 4 + [[None, 1.0]]
    assert found["b"]["channel"] == ["R", "G"]
    assert {row["note"] for row in found.values()} == {"mine"}


def test_the_mark_outlives_compaction(mixed: Storage) -> None:
    run(mixed, pa.schema([]), {"b": {}, "f": {}})
    schema = Records(mixed).schema
    marked = {field.name for field in schema if is_per_image(field)}
    assert marked == {"brightness", "channel", "glow"}
    assert [row["brightness"] for row in stored(mixed, ["id", "brightness"])] == [
        None, None, [0.9, None], None, None, None,
    ]  # fmt: skip


def test_a_column_that_was_another_before_names_the_plugin_as_the_cause(
    storage: Storage,
) -> None:
    own = pa.schema([("brightness", pa.float64())])
    Ledger.open(storage, record_schema(own)).append(
        [{**record(Ledger.open(storage, record_schema(own)), "a", {}), "brightness": 1.0}]
    )
    with pytest.raises(LedgerError, match="switch off the plug-in that computes it"):
        Ledger.open(storage, record_schema(NOTE, BRIGHTNESS))


def test_each_sample_has_the_value_of_its_image(mixed: Storage) -> None:
    whole = pa.Table.from_batches(iter_records(mixed)).sort_by("id")
    table, files = samples_of(whole.filter(pa.compute.equal(whole["status"], "completed")))
    schema = sample_schema(whole.schema)
    assert (schema.field("brightness").type, schema.field("channel").type) == (
        pa.float64(),
        pa.string(),
    )
    assert [file.row_id for file in files] == list("aabbccee")
    expected: Sequence[float | None] = [None, None, 0.5, 0.2, 0.9, None, None, None]
    assert table["brightness"].to_pylist() == expected
    assert table["glow"].to_pylist() == [None] * 6 + [None, 1.0]


@pytest.mark.parametrize("layout", ["webdataset", "parquet"])
def test_values_are_packed(tmp_path: Path, layout: Any) -> None:
    storage, dest = Storage.at(str(tmp_path / "out")), Storage.at(str(tmp_path / "packed"))
    columns = plugin_columns([chosen("BRIGHTNESS")], pa.schema([]))
    extra = pa.schema([("score", pa.float64()), ("note", pa.string())])
    row = {**generated(storage, "a"), "brightness": [0.25], "channel": ["R"]}
    Ledger.open(storage, record_schema(extra, columns)).append([row])
    pack(PackRequest(storage, dest, layout, 10))
    [(fields, _)] = samples(dest)
    assert (fields["brightness"], fields["channel"]) == (0.25, "R")
    assert pack(PackRequest(storage, dest, layout, 10)).written == 0  # nothing is out of date


def test_a_report_shows_values_and_filters_by_the_lowest(mixed: Storage, tmp_path: Path) -> None:
    table = RowTable(tmp_path)
    assert set(load(mixed, table, Tally(tmp_path))[0].numbers) == {"brightness", "glow"}
    table.sort()
    (part,) = table.parts()
    assert part.rows["id"].to_pylist() == list("abcde")
    assert part.rows["number:brightness"].to_pylist() == [None, 0.2, 0.9, None, None]
    out = Storage.at(str(tmp_path / "report"))
    reported(mixed, out, thumbnails=0)
    (shown,) = (row for row in rows_of(out) if row["id"] == "b")
    assert shown["own"] == {
        "brightness": "[0.5, 0.2]",
        "channel": '["R", "G"]',
        "note": "mine",
    }


def test_the_lowest_image_stands_for_a_row_with_a_low_score(mixed: Storage) -> None:
    low = low_scores(mixed, "brightness", 0.4)
    assert low.ids == {"b"}
    assert (low.scored, low.unscored) == (2, 2)
    with pytest.raises(ComposeError, match="'channel' is list"):
        low_scores(mixed, "channel", 1)
