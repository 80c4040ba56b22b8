"""Arrow columns and tables of any type and content, like those in an untrusted manifest."""

from __future__ import annotations

import datetime as dt
import decimal
import io

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import strategies as st

from pipelines.fields.table import ALIASES, INPUT_NAMES
from pipelines.record import RECORD_NAMES

ODD_TEXT = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        [
            "",
            " ",
            "../../etc/passwd",
            "a" * 256,
            "a" * 257,
            "\x1b]0;title\x07\x1b[2J",
            "<script>alert(1)</script>",
            "file:///etc/passwd",
            "s3://key:secret@bucket/a.png?X-Amz-Signature=00",
            "data:image/png;base64,AAAA",
            '["a.png", "b.png"]',
            "[1, null]",
            "[" * 50,
            "NaN",
            "1e999",
            "-0",
            "25.0",
            "9" * 400,
            "true",
            "\N{FAMILY}\N{COMBINING ACUTE ACCENT}\N{RIGHT-TO-LEFT OVERRIDE}x",
            "nul\0byte",
            "C:\\a.png",
        ]
    ),
)
_INTEGERS = st.one_of(st.integers(-2, 2100), st.integers(-(2**63), 2**63 - 1))
_NUMBERS = st.one_of(st.floats(), st.floats(0, 6), st.sampled_from([25.0, 512.0, -1.0, 1e300]))
_BYTES = st.one_of(st.binary(max_size=40), st.just(b"\x89PNG\r\n\x1a\n" + bytes(20)))
_TIMES = st.datetimes(dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31))  # noqa: DTZ001 (any)
_DECIMALS = st.decimals(-(10**15), 10**15, places=3, allow_nan=False)
_IMAGES = st.fixed_dictionaries(
    {"bytes": st.none() | _BYTES, "path": st.none() | ODD_TEXT},
)

_TYPES: list[tuple[pa.DataType, st.SearchStrategy[object]]] = [
    (pa.null(), st.none()),
    (pa.bool_(), st.booleans()),
    (pa.int8(), st.integers(-128, 127)),
    (pa.int64(), _INTEGERS),
    (pa.uint64(), st.integers(0, 2**64 - 1)),
    (pa.float32(), st.floats(width=32)),
    (pa.float64(), _NUMBERS),
    (pa.string(), ODD_TEXT),
    (pa.large_string(), ODD_TEXT),
    (pa.binary(), _BYTES),
    (pa.large_binary(), _BYTES),
    (pa.binary(4), st.binary(min_size=4, max_size=4)),
    (pa.date32(), st.dates()),
    (pa.timestamp("us"), _TIMES),
    (pa.timestamp("ms", tz="UTC"), _TIMES),
    (pa.time64("us"), st.times()),
    (pa.duration("us"), st.timedeltas(dt.timedelta(-1000), dt.timedelta(1000))),
    (pa.decimal128(38, 3), _DECIMALS),
    (pa.list_(pa.string()), st.lists(ODD_TEXT, max_size=6)),
    (pa.list_(pa.binary()), st.lists(st.none() | _BYTES, max_size=5)),
    (pa.list_(pa.int64()), st.lists(_INTEGERS, max_size=3)),
    (pa.list_(pa.float64()), st.lists(st.none() | _NUMBERS, max_size=3)),
    (pa.large_list(pa.string()), st.lists(st.none() | ODD_TEXT, max_size=5)),
    (pa.struct([("bytes", pa.binary()), ("path", pa.string())]), _IMAGES),
    (
        pa.list_(pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
        st.lists(_IMAGES, max_size=4),
    ),
    (pa.struct([("bytes", pa.int64()), ("other", pa.string())]), st.none()),
    (
        pa.map_(pa.string(), pa.int64()),
        st.lists(st.tuples(ODD_TEXT, _INTEGERS), max_size=3),
    ),
    (pa.dictionary(pa.int32(), pa.string()), ODD_TEXT),
]
_NAMES = st.one_of(
    st.sampled_from([*INPUT_NAMES, *INPUT_NAMES, *ALIASES, *sorted(RECORD_NAMES)]),
    st.text(min_size=1, max_size=8),
)


@st.composite
def columns(draw: st.DrawFn, num_rows: int) -> pa.Array:
    """Generate a column; a few columns hold bytes that claim to be text."""
    kind, values = draw(st.sampled_from(_TYPES))
    cells = draw(st.lists(st.none() | values, min_size=num_rows, max_size=num_rows))
    if kind == pa.binary() and draw(st.booleans()):
        return pa.array(cells, pa.binary()).view(pa.string())
    if pa.types.is_decimal(kind):
        cells = [None if cell is None else decimal.Decimal(str(cell)) for cell in cells]
    return pa.array(cells, kind)


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    """Generate a table with a column that makes it a manifest, and up to five other columns."""
    num_rows = draw(st.integers(0, 6))
    names = ["prompt", *draw(st.lists(_NAMES, max_size=5))]
    unique = [name for name in dict.fromkeys(names) if name.isprintable()]
    return pa.table({name: draw(columns(num_rows)) for name in unique})


def parquet(table: pa.Table) -> bytes:
    """Write `table` as a Parquet file."""
    stream = io.BytesIO()
    pq.write_table(table, stream)
    return stream.getvalue()


@st.composite
def damaged(draw: st.DrawFn, data: bytes) -> bytes:
    """Return `data` with a few bytes changed, removed or repeated, or truncated."""
    found = bytearray(data)
    for where, new in draw(
        st.lists(
            st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=8)),
            max_size=5,
        )
    ):
        start = int(where * len(found))
        found[start : start + len(new)] = new
    if draw(st.booleans()):
        shares = sorted(draw(st.tuples(st.floats(0, 1), st.floats(0, 1))))
        first, last = (int(share * len(found)) for share in shares)
        found[first:first] = found[first:last]
    keep = draw(st.just(1.0) | st.floats(0, 1))
    return bytes(found[: int(keep * len(found))])
