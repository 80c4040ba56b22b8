"""Digests of the user's own columns tell all values of times apart, at any depth."""

from __future__ import annotations

import pyarrow as pa
import pytest

from pipelines.manifest.own_columns import own_digests

_NS = pa.timestamp("ns")
_TIMES = [
    (pa.date32(), 2**31 - 1, 2**31 - 2),  # years that Python does not have
    (pa.timestamp("us"), 2**62, 2**62 + 1),
    (pa.timestamp("us", "Mars/Olympus"), 1, 2),
    (pa.duration("s"), 2**62, 2**62 + 1),
    (pa.time64("ns"), 1, 2),
    (pa.time64("us"), 86_400 * 10**6, 0),  # 24:00:00
    (_NS, 1, 2),
]


def _around(kind: pa.DataType, one: int, other: int) -> list[pa.Array]:
    """Return columns of two different cells in which times are inside lists, maps and structs."""
    times = pa.array([one, other], pa.int32() if kind.bit_width == 32 else pa.int64()).view(kind)
    texts, both = pa.array(["a", "a"]), pa.array([0, 1, 2], pa.int32())
    starts, sizes = pa.array([0, 1], pa.int32()), pa.array([1, 1], pa.int32())
    struct = pa.StructArray.from_arrays([times, texts], ["t", "x"])
    lists = pa.ListArray.from_arrays(both, times)
    return [
        *(struct, lists, pa.ListArray.from_arrays(both, struct)),
        pa.LargeListArray.from_arrays(both.cast(pa.int64()), times),
        pa.FixedSizeListArray.from_arrays(times, 1),
        pa.ListViewArray.from_arrays(starts, sizes, times),
        *(pa.MapArray.from_arrays(both, *pair) for pair in ((texts, times), (times, texts))),
        pa.ListArray.from_arrays(both, lists),
        pa.ListArray.from_arrays(both, times.dictionary_encode()),
        pa.ExtensionArray.from_storage(pa.opaque(lists.type, "own", "vendor"), lists),
    ]


@pytest.mark.parametrize(("kind", "one", "other"), _TIMES, ids=[str(it[0]) for it in _TIMES])
def test_times_inside_other_types_are_told_apart(kind: pa.DataType, one: int, other: int) -> None:
    for column in _around(kind, one, other):
        digests = own_digests({"own": column}, 2).tolist()
        assert digests[0] != digests[1], column.type
        cut = column.slice(1)  # a digest does not depend on the batch
        assert own_digests({"own": cut}, 1).tolist() == digests[1:], column.type


@pytest.mark.parametrize(
    "cells",
    [
        [None, [], [None], [None, None], [1], [1, None], [None, 1], [1, 1]],
        [[1, 2], [2, 1], [1], [2], [1, 2, None]],
    ],
)
def test_lists_of_times_with_nulls_are_told_apart(cells: list[list[int | None] | None]) -> None:
    for kind in (pa.list_(_NS), pa.list_view(_NS), pa.struct([("l", pa.list_(_NS))])):
        made = [{"l": cell} for cell in cells] if pa.types.is_struct(kind) else cells
        digests = own_digests({"own": pa.array(made, kind)}, len(cells)).tolist()
        assert len(set(digests)) == len(cells), kind
