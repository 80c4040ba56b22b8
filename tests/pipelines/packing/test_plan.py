from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pyarrow as pa

from pipelines.packing.plan import Planner, ShardPlan, digest_of
from pipelines.record import record_schema

SCHEMA = record_schema(pa.schema([("note", pa.string())]))
BEGAN = datetime(2026, 1, 1, tzinfo=timezone.utc)


def records(count: int, *, images: int = 1, start: int = 0, at: float = 0) -> pa.RecordBatch:
    row = {"status": "completed", "fingerprint": "0", "attempt": 1, "run_id": "r"}
    rows = [
        {
            **row,
            "id": f"row-{n}",
            "outputs": ["/images/00/x.png"] * images,
            "created_at": BEGAN + timedelta(seconds=at),
            "schema_version": 1,
        }
        for n in range(start, start + count)
    ]
    return pa.RecordBatch.from_pylist(rows, schema=SCHEMA)


def plan(*batches: pa.RecordBatch, shard_images: int = 100) -> ShardPlan:
    planner = Planner(SCHEMA)
    for batch in batches:
        planner.add(batch)
    return planner.plan(shard_images)


def test_shards_have_about_the_requested_number_of_images() -> None:
    found = plan(records(3000))
    assert len(found) == 32
    assert sum(found.rows) == sum(found.images) == 3000
    assert 50 < min(found.images) <= max(found.images) < 150


def test_images_are_counted_rather_than_rows() -> None:
    found = plan(records(800, images=4))
    assert len(found) == 32
    assert sum(found.images) == 4 * sum(found.rows) == 3200


def test_no_shard_is_empty() -> None:
    for count in range(1, 60):
        assert min(plan(records(count), shard_images=1).rows) > 0


def test_the_plan_does_not_depend_on_the_order_or_the_batches() -> None:
    rows = records(500)
    backwards = rows.take(pa.array(range(499, -1, -1)))
    assert plan(rows) == plan(backwards) == plan(rows.slice(0, 7), rows.slice(7))


def test_a_few_new_rows_change_only_a_few_shards() -> None:
    before, after = plan(records(3000)), plan(records(3003))
    assert len(before) == len(after)
    changed = sum(a != b for a, b in zip(before.digests, after.digests, strict=True))
    assert 0 < changed <= 3


def test_a_record_that_replaces_another_changes_only_its_shard() -> None:
    before = plan(records(300))
    after = plan(records(200), records(1, start=200, at=1), records(99, start=201))
    changed = [n for n in range(len(before)) if before.digests[n] != after.digests[n]]
    assert changed == before.shard_of(pa.array(["row-200"])).tolist()


def test_a_shards_digest_follows_from_its_rows() -> None:
    rows = records(300)
    found = plan(rows)
    shards = found.shard_of(rows["id"])
    for number in range(len(found)):
        own = pa.Table.from_batches([rows.filter(pa.array(shards == number))])
        assert digest_of(own) == found.digests[number]
        assert own.num_rows == found.rows[number]


def test_another_column_changes_the_digest() -> None:
    rows = pa.Table.from_batches([records(3)])
    wider = rows.append_column("score", pa.nulls(3, pa.float64()))
    assert digest_of(wider) != digest_of(rows)


def test_no_rows_make_no_shards() -> None:
    assert len(plan()) == 0
