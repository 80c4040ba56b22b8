from __future__ import annotations

import json
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import datasets
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pipelines.arrow_types.shown import rows_of
from pipelines.arrow_types.stored import stored_type
from pipelines.packing.json_fields import json_features, json_line, json_lines
from pipelines.packing.loader_types import to_loader_type
from tests.fuzz.arrow_types import TYPES, column

UTC = timezone.utc


@pytest.mark.parametrize(
    ("kind", "value", "written", "feature"),
    [
        (pa.int8(), -3, -3, {"dtype": "int8"}),
        (pa.uint64(), 2**63, 2**63, {"dtype": "uint64"}),
        (pa.float32(), 0.5, 0.5, {"dtype": "float64"}),
        (pa.float64(), float("nan"), None, {"dtype": "float64"}),
        (pa.float64(), float("-inf"), None, {"dtype": "float64"}),
        (pa.bool_(), True, True, {"dtype": "bool"}),
        (pa.string(), 'ä"\n', 'ä"\n', {"dtype": "string"}),
        (pa.large_string(), "a", "a", {"dtype": "string"}),
        (pa.binary(), b"\xff", "/w==", {"dtype": "string"}),
        (pa.date32(), date(2026, 1, 2), "2026-01-02", {"dtype": "string"}),
        (pa.duration("ms"), timedelta(seconds=1.5), 1.5, {"dtype": "float64"}),
        (pa.decimal128(5, 2), Decimal("1.50"), "1.50", {"dtype": "string"}),
        (pa.null(), None, None, {"dtype": "string"}),
        (pa.list_(pa.int64()), [1, None], [1, None], {"list": "int64"}),
        (pa.list_(pa.list_(pa.string())), [["a"]], [["a"]], {"list": {"list": "string"}}),
        (
            pa.struct([("a", pa.float64())]),
            {"a": 1.0},
            {"a": 1.0},
            {"struct": [{"name": "a", "dtype": "float64"}]},
        ),
        (
            pa.list_(pa.struct([("a", pa.int64())])),
            [{"a": 1}],
            [{"a": 1}],
            {"list": [{"name": "a", "dtype": "int64"}]},
        ),
        (
            pa.map_(pa.string(), pa.float64()),
            [("a", 1.0)],
            [{"key": "a", "value": 1.0}],
            {"list": [{"name": "key", "dtype": "string"}, {"name": "value", "dtype": "float64"}]},
        ),
        (
            pa.timestamp("us", tz="UTC"),
            datetime(2026, 1, 2, 3, tzinfo=UTC),
            "2026-01-02T03:00:00+00:00",
            {"dtype": "string"},
        ),
        (
            pa.dictionary(pa.int32(), pa.string()),
            "a",
            "a",
            {"dtype": "string"},
        ),
    ],
    ids=str,
)
def test_every_column_type(
    kind: pa.DataType, value: Any, written: Any, feature: dict[str, Any]
) -> None:
    cell = pa.table({"c": pa.array([value], kind)}).to_pylist()[0]
    assert json.loads(json_line(cell)) == {"c": written}
    features = json_features(pa.schema([("c", kind)]))
    assert features == [{"name": "c", **feature}]
    known = datasets.Features._from_yaml_list(features)
    assert known.encode_example({"c": written}) == {"c": written}


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    """Tables of any columns, in one chunk or two, some with one value in all rows."""
    rows = draw(st.integers(0, 5))
    kinds = draw(st.lists(TYPES.map(stored_type), min_size=1, max_size=6))
    columns = []
    for kind in kinds:
        values = to_loader_type(draw(column(kind, rows)))  # as all records are
        if rows and draw(st.booleans()):
            values = pa.concat_arrays([values.slice(0, 1)] * rows)
        at = draw(st.integers(0, rows))
        columns.append(pa.chunked_array([values.slice(0, at), values.slice(at)], values.type))
    names = draw(st.lists(st.text(max_size=5), min_size=len(kinds), max_size=len(kinds)))
    return pa.Table.from_arrays(columns, names=names)


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(tables())
@example(pa.table({"100%s": ["%", "\n"], "%": [1, 1]}))
@example(pa.table({"f": [float("nan"), -0.0, 0.0, float("inf"), None]}))
@example(pa.table([pa.array(["a"]), pa.array(["b"])], names=["twice", "twice"]))
def test_lines_are_those_of_the_rows(table: pa.Table) -> None:
    assert json_lines(table) == [json_line(row) for row in rows_of(table)]
