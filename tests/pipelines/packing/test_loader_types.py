"""Conversion to the types of loaders: slices, nulls and nested types."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pyarrow as pa
import pytest

from pipelines.packing.loader_types import loader_type, to_loader_type

ID, LAPSE = uuid.UUID(int=7), timedelta(seconds=1.5)
IDS = pa.ExtensionArray.from_storage(pa.uuid(), pa.array([ID.bytes, None], pa.binary(16)))
SECONDS, COUNTS = pa.duration("us"), pa.map_(pa.string(), pa.int8())


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (COUNTS, [("k", 1), ("j", None)], [{"key": "k", "value": 1}, {"key": "j", "value": None}]),
        (pa.list_view(SECONDS), [LAPSE, None], [1.5, None]),
        (pa.large_list_view(SECONDS), [LAPSE], [1.5]),
        (pa.list_(SECONDS, 2), [LAPSE, None], [1.5, None]),
        (pa.list_(COUNTS), [[("k", 1)], None, []], [[{"key": "k", "value": 1}], None, []]),
        (
            pa.struct([("a", SECONDS), ("b", COUNTS)]),
            {"a": LAPSE, "b": None},
            {"a": 1.5, "b": None},
        ),
    ],
    ids=str,
)
def test_slices_and_nulls(kind: pa.DataType, value: Any, expected: Any) -> None:
    array = pa.array([value, None, value, value, None], kind)
    for part in (array, array.slice(1, 2), array.slice(5)):
        found = to_loader_type(part)
        found.validate(full=True)
        assert found.type == loader_type(kind)
        assert found.to_pylist() == [
            None if cell is None else expected for cell in part.to_pylist()
        ]


@pytest.mark.parametrize("made", [pa.ListArray, pa.ListViewArray, pa.LargeListArray])
def test_extension_types_in_lists(made: Any) -> None:
    ends = pa.array([0, 2], pa.int64() if made is pa.LargeListArray else pa.int32())
    array = (
        made.from_arrays(ends[:1], pa.array([2], pa.int32()), IDS)
        if made is pa.ListViewArray
        else made.from_arrays(ends, IDS)
    )
    assert to_loader_type(array).to_pylist() == [[str(ID), None]]


def test_a_dictionary_of_a_converted_type() -> None:
    words = pa.DictionaryArray.from_arrays(pa.array([0, None, 0]), pa.array([LAPSE], SECONDS))
    assert to_loader_type(words).equals(pa.array([1.5, None, 1.5]))


def test_types_that_loaders_read_are_not_copied() -> None:
    array = pa.array([["a"]], pa.list_(pa.dictionary(pa.int32(), pa.string())))
    assert to_loader_type(array) is array
