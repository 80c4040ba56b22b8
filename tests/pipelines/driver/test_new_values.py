"""Done rows take new values of the user's own columns, and are not generated again."""

from __future__ import annotations

import json
from datetime import date, datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.config.schema import RunConfig
from pipelines.driver.summary import RunSummary, summarize
from pipelines.failures import Failure
from pipelines.ledger.new_values import NewValues
from pipelines.ledger.records import Records
from pipelines.manifest.own_columns import own_digests
from pipelines.rows import Entry, ManifestRow, Outcome, RejectedRow
from pipelines.storage.storage import Storage
from tests.pipelines.driver.test_driver import config, driver_of, names, ok
from tests.pipelines.inprocess_pool import InProcessPool, Work
from tests.pipelines.records import drop_column, stored


def run(settings: RunConfig, work: Work = ok) -> tuple[RunSummary, set[str]]:
    """Run to the end, as `pipelines.driver.run` does; return the summary and the rows that ran."""
    pool = InProcessPool(2, work)
    with driver_of(settings) as (driver, stats, prepared):
        if driver.find_work():
            driver.work(pool)
        driver.leave_out_others()
        prepared.ledger.forget_rows()
        driver.take_new_values()
        prepared.ledger.compact()
        prepared.ledger.verify()
        return summarize(prepared, stats, interrupted=False), set(pool.tries)


def write(folder: Path, count: int = 6, **columns: Any) -> None:
    own = {name: values for name, values in columns.items() if values is not None}
    table = pa.table({"id": names(count), "prompt": ["x"] * count, **own})
    pq.write_table(table, folder / "m.parquet")


def output(folder: Path) -> Storage:
    return Storage.at(str(folder / "out"))


def values(folder: Path, name: str) -> list[Any]:
    return [row.get(name) for row in stored(output(folder))]


def columns(folder: Path) -> set[str]:
    """Return the columns of the records, and check that there is one record per row."""
    table = pq.read_table(folder / "out/records")
    assert len(table) == len(set(table["id"].to_pylist()))
    return set(Records(output(folder)).schema.names)


def made(row: ManifestRow) -> Outcome:
    if row.id == "r5":
        return Outcome(row_id=row.id, failure=Failure("uri_not_found", "gone"))
    return Outcome(row_id=row.id, outputs=(f"/images/{row.id}.png",), sha256=(row.id * 8,))


def test_only_the_records_of_changed_rows_are_written_again(tmp_path: Path) -> None:
    write(tmp_path, label=["a", "b", None, "d", "e", "f"])
    run(config(tmp_path), made)
    before = stored(output(tmp_path))
    write(tmp_path, label=["a", "B", "c", None, "e", "F"])
    summary, tries = run(config(tmp_path), made)
    assert (tries, summary.new_values, summary.skipped) == (set(), 4, 6)
    after = stored(output(tmp_path))
    assert [row["label"] for row in after] == ["a", "B", "c", None, "e", "F"]
    for old, new, changed in zip(
        before, after, [False, True, True, True, False, True], strict=True
    ):
        assert (new["created_at"] > old["created_at"]) == changed
        other = {"label", "created_at", "columns_digest", "edition_digest"}
        assert {k: v for k, v in new.items() if k not in other} == {
            k: v for k, v in old.items() if k not in other
        }
    columns(tmp_path)
    assert run(config(tmp_path), made)[0].new_values == 0


def test_columns_that_were_added_or_removed_are_in_the_records_or_not(tmp_path: Path) -> None:
    write(tmp_path, label=list("abcdef"))
    run(config(tmp_path))
    write(tmp_path, label=list("abcdef"), score=[1, 2, None, 4, 5, 6])
    assert run(config(tmp_path))[0].new_values == 6
    assert values(tmp_path, "score") == [1, 2, None, 4, 5, 6]
    write(tmp_path, score=[1, 2, None, 4, 5, 6])
    assert run(config(tmp_path))[0].new_values == 6
    assert "label" not in columns(tmp_path)
    summary, tries = run(config(tmp_path, manifest={"keep_columns": "none"}))
    assert (summary.new_values, tries) == (6, set())
    assert "score" not in columns(tmp_path)
    assert run(config(tmp_path, manifest={"keep_columns": ["score"]}))[0].new_values == 6
    assert values(tmp_path, "score") == [1, 2, None, 4, 5, 6]


def test_the_order_and_the_storage_of_columns_change_nothing(tmp_path: Path) -> None:
    write(tmp_path, label=list("aabbcc"), score=[1, 2, 3, 4, 5, 6])
    run(config(tmp_path))
    again = pa.array(list("aabbcc")).dictionary_encode()
    write(tmp_path, score=[1, 2, 3, 4, 5, 6], label=again)
    assert (
        own_digests({"label": again}, 6).tolist()
        == own_digests({"label": pa.array(list("aabbcc"))}, 6).tolist()
    )
    write(tmp_path, score=[1, 2, 3, 4, 5, 6], label=list("aabbcc"))
    assert run(config(tmp_path))[0].new_values == 0


TYPES: list[tuple[pa.DataType, Any, Any]] = [
    (pa.int8(), 1, 2),
    (pa.int64(), 0, None),
    (pa.uint64(), 2**64 - 1, 2**64 - 2),
    (pa.float16(), 1.5, 2.5),
    (pa.float64(), 1.0, 1.0000000000000002),
    (pa.bool_(), True, False),
    (pa.string(), "1:a", "1:b"),
    (pa.large_string(), "", "x"),
    (pa.binary(), b"\x00", b"\x00\x00"),
    (pa.binary(2), b"ab", b"ac"),
    (pa.decimal128(30, 2), Decimal("1.10"), Decimal("1.11")),
    (pa.date32(), date(2026, 1, 1), date(2026, 1, 2)),
    (pa.time64("ns"), 1, 2),
    (pa.timestamp("us", "UTC"), datetime(2026, 1, 1, tzinfo=timezone.utc), None),
    (pa.duration("ms"), 5, 6),
    (pa.list_(pa.string()), ["a", "b"], ["ab"]),
    (pa.list_(pa.timestamp("us")), [datetime(2026, 1, 1)], [datetime(2026, 1, 2)]),  # noqa: DTZ001
    (pa.struct([("x", pa.int64())]), {"x": 1}, {"x": None}),
    (pa.map_(pa.string(), pa.int64()), [("a", 1)], [("a", 2)]),
    (pa.dictionary(pa.int32(), pa.string()), "a", "b"),
    (pa.json_(), '{"a": 1}', '{"a": 2}'),
]


@pytest.mark.parametrize(("kind", "one", "other"), TYPES, ids=[str(kind) for kind, *_ in TYPES])
def test_every_type_is_told_apart_and_taken(
    tmp_path: Path, kind: pa.DataType, one: Any, other: Any
) -> None:
    def column(*cells: Any) -> pa.Array:
        if isinstance(kind, pa.BaseExtensionType):
            return pa.ExtensionArray.from_storage(kind, pa.array(cells, kind.storage_type))
        return pa.array(cells, kind)

    write(tmp_path, 3, own=column(one, one, None))
    run(config(tmp_path))
    assert run(config(tmp_path))[0].new_values == 0
    changed = column(one, other, one)
    write(tmp_path, 3, own=changed)
    assert run(config(tmp_path))[0].new_values == 2
    assert values(tmp_path, "own") == changed.to_pylist()


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_text_formats_have_new_values_too(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"m.{ending}"

    def rows(*labels: str) -> None:
        lines = [json.dumps({"id": f"r{n}", "prompt": "x", "l": x}) for n, x in enumerate(labels)]
        if ending == "csv":
            lines = ["id,prompt,l", *(f"r{n},x,{label}" for n, label in enumerate(labels))]
        path.write_text("\n".join(lines))

    settings = config(tmp_path, manifest={"path": str(path)})
    rows("a", "b", "c")
    run(settings)
    assert run(settings)[0].new_values == 0
    rows("a", "B", "c")
    assert run(settings)[0].new_values == 1
    assert values(tmp_path, "l") == ["a", "B", "c"]


def test_rejected_rows_and_rows_with_repeated_ids_take_new_values(tmp_path: Path) -> None:
    def table(labels: list[str]) -> pa.Table:
        return pa.table({"id": ["a", "a", "b"], "num_steps": [1, 1, 999], "label": labels})

    def write_table(*labels: str) -> None:
        rows = table(list(labels)).append_column("prompt", pa.array(["x"] * 3))
        pq.write_table(rows, tmp_path / "m.parquet")

    write_table("1", "2", "3")
    run(config(tmp_path))
    write_table("1", "22", "33")
    summary, _ = run(config(tmp_path))
    assert summary.new_values == 2
    assert values(tmp_path, "label") == ["1", "22", "33"]


def test_rows_that_are_kept_though_they_changed_keep_all_values(tmp_path: Path) -> None:
    write(tmp_path, 2, label=["a", "b"], num_steps=[1, 1])
    run(config(tmp_path))
    write(tmp_path, 2, label=["A", "B"], num_steps=[2, 1])
    summary, tries = run(config(tmp_path, output={"on_change": "keep"}))
    assert (tries, summary.new_values) == (set(), 1)
    assert values(tmp_path, "label") == ["a", "B"]


def test_records_of_older_versions_stay_as_they_are(tmp_path: Path) -> None:
    write(tmp_path, 2, label=["a", "b"])
    run(config(tmp_path))
    drop_column(output(tmp_path), "columns_digest")
    write(tmp_path, 2, label=["A", "B"])
    summary, tries = run(config(tmp_path))
    assert (tries, summary.new_values) == (set(), 0)
    assert values(tmp_path, "label") == ["a", "b"]


def test_many_values_wait_in_a_file_and_come_back_in_any_order() -> None:
    kept = NewValues(pa.schema([("n", pa.int64()), ("d", pa.dictionary(pa.int32(), pa.string()))]))
    failure = Failure("invalid_request", "no")
    for n in range(10_000):
        row = RejectedRow(f"r{n}", failure, "0")
        kept.add(Entry(row, {"n": n, "d": f"v{n}"}, columns_digest=n + 1))
    assert len(kept) == len(kept.keys()) == 10_000
    wanted = [9_999, 0, 4_096, 5, 4_095]
    taken = kept.take(pa.array(wanted).to_numpy())
    assert taken["n"].to_pylist() == wanted
    assert taken["d"].to_pylist() == [f"v{n}" for n in wanted]
    assert taken["columns_digest"].to_pylist() == [n + 1 for n in wanted]
    kept.close()
