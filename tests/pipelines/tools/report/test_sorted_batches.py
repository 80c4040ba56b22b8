"""Batches come out in the order of their ids, however they came in."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.tools.report import part_file, sorted_batches
from pipelines.tools.report.sorted_batches import IdOrder, SortedBatches

IDS = st.lists(st.text(st.characters(codec="utf-8"), max_size=4), max_size=60, unique=True)


def batch_of(ids: list[str]) -> pa.RecordBatch:
    sizes = [[len(one)] * (n % 3) for n, one in enumerate(ids)]
    columns = [pa.array(ids, pa.string()), pa.array(sizes, pa.list_(pa.int64()))]
    return pa.RecordBatch.from_arrays(columns, names=["id", "sizes"])


@settings(deadline=None, max_examples=60)
@given(IDS, st.sampled_from(["given", "sorted", "reversed"]), st.integers(1, 20), st.data())
def test_they_are_sorted_in_parts(ids: list[str], way: str, size: int, data: st.DataObject) -> None:
    if way != "given":
        ids = sorted(ids, reverse=way == "reversed")
    whole = batch_of(ids)
    batches = [whole.slice(start, size) for start in range(0, len(ids), size)]
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setattr(part_file, "PART_ROWS", 7)
        patch.setattr(sorted_batches, "_RANGE_ROWS", 4)
        patch.setattr(sorted_batches, "_SAMPLES", 2)
        patch.setattr(sorted_batches, "_CUT_BYTES", data.draw(st.sampled_from([1, 400, 10**6])))
        found = SortedBatches(Path(folder), "rows")
        if data.draw(st.booleans()):
            order = IdOrder.of((batch["id"] for batch in batches), len(ids))
            assert order.is_sorted is (ids == sorted(ids))
            found.expect(order)
        for batch in batches:
            found.add(batch)
        assert found.rows == len(ids)
        found.sort()
        parts = list(found.parts.all())
        expected = sorted(whole.to_pylist(), key=lambda row: row["id"])
        assert [row for part in parts for row in part.to_pylist()] == expected
        assert [len(part) for part in parts[:-1]] == [7] * (len(parts) - 1)
        assert [path.name for path in Path(folder).iterdir()] == (["rows.arrow"] if ids else [])
        if ids:
            numbers = sorted(data.draw(st.sets(st.integers(0, len(ids) - 1))))
            taken = found.parts.take(np.array(numbers, np.int64), ["sizes"])
            assert taken.to_pylist() == [{"sizes": expected[n]["sizes"]} for n in numbers]
            lowest, highest = sorted(
                [data.draw(st.sampled_from(ids)), data.draw(st.text(max_size=2))]
            )
            parts = list(found.parts.between(lowest, highest))
            between = {one for part in parts for one in part["id"].to_pylist()}
            assert {one for one in ids if lowest <= one <= highest} <= between


def test_a_look_cuts_the_rows_into_ranges_of_about_the_same_size() -> None:
    ids = np.random.default_rng(0).permutation(200_000)
    names = pa.array([f"row-{n:06d}" for n in ids])
    order = IdOrder.of([names.slice(start, 8192) for start in range(0, len(ids), 8192)], len(ids))
    assert not order.is_sorted
    cuts = np.searchsorted(np.sort(names.to_numpy(zero_copy_only=False).astype(str)), order.bounds)
    sizes = np.diff([0, *cuts, len(ids)])
    assert len(sizes) in (20, 21)
    assert sizes.max() < 20_000
