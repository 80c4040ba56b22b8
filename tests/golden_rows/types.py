"""Rows of unusual types, and pass-through columns of many types."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any

import pyarrow as pa

from tests.golden_rows.texts import PIXEL

PICTURE = b"\x89PNG\r\n\x1a\nnot a picture, because nothing decodes it here"


def numbers() -> pa.Table:
    """Make rows with integer ids, dictionaries, and numbers of many types."""
    count = 16
    return pa.table(
        {
            "id": pa.array([*range(5), None, -3, 2**40, *range(8, count)], pa.int64()),
            "prompt": pa.array(["a", "b", None, "a"] * 4).dictionary_encode(),
            "content_image": pa.array(["cat.jpg", None, "", "b/cat.jpg"] * 4, pa.large_string()),
            "style_images": pa.array(
                [["a.png"], [], None, ["a.png", "b.png"]] * 4, pa.large_list(pa.string())
            ),
            "style_weights": pa.array(
                [[1], [], None, [1, 1], [1], None, None, [2, 0]] * 2, pa.list_(pa.int8())
            ),
            "width": pa.array([512, None] * 8, pa.int16()),
            "height": pa.array([512.0, None, 1024.0, 513.5] * 4, pa.float64()),
            "num_steps": pa.array([4, 25, None, 50] * 4, pa.uint8()),
            "guidance": pa.array([4, 3, None, 1] * 4, pa.int32()),
            "seed": pa.array([None, 1, 2**31 - 1, 3] * 4, pa.uint32()),
            "keep_size": pa.array([None, 0, 1, 1] * 4, pa.uint8()),
            "content_long_size": pa.nulls(count),
            "num_images": pa.array([1, None, 1, 2] * 4, pa.int8()),
        }
    )


def unusual() -> pa.Table:
    """Make rows of types that have no source digest: decimals, text as bytes."""
    return pa.table(
        {
            "id": pa.array([f"u{n}".encode() for n in range(8)], pa.binary()),
            "prompt": pa.array([b"bytes", "größe".encode(), b"\xff", None] * 2, pa.binary()),
            "guidance": pa.array([Decimal("4.0"), Decimal("3.25"), None, Decimal(9)] * 2),
            "seed": pa.array([Decimal(5), Decimal(-1), None, Decimal("5.5")] * 2),
        }
    )


def floats() -> pa.Table:
    """Make rows with 32-bit floats and without a column of ids."""
    return pa.table(
        {
            "prompt": pa.array(["a", "b", "a", "a", None, "c"]),
            "guidance": pa.array([3.1, 4.0, 3.1, None, 4.0, 2.5], pa.float32()),
            "style_image": pa.array(["x.png"] * 6),
            "style_weights": pa.array(
                [[0.1], [1.0], [0.1], None, [2.0], [1.0]], pa.list_(pa.float32())
            ),
        }
    )


def pictures() -> pa.Table:
    """Make rows with images as bytes, as structs of `datasets`, and as data: URIs."""
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    return pa.table(
        {
            "id": pa.array([f"p{n}" for n in range(12)]),
            "content_image": pa.array([PICTURE, None, b"", b"other"] * 3, pa.binary()),
            "style_image": pa.array(
                [
                    {"bytes": PICTURE, "path": "a.png"},
                    {"bytes": None, "path": "a.png"},
                    None,
                    {"bytes": None, "path": None},
                ]
                * 3,
                image,
            ),
            "style_images": pa.array(
                [[PICTURE], None, [PICTURE, b"other"], [], [b"", PICTURE], [PICTURE] * 4] * 2,
                pa.list_(pa.binary()),
            ),
            "extra_style_image": pa.array([PIXEL, None, "a.png"] * 4),
            "prompt": pa.nulls(12),
        }
    )


_MOMENT = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=timezone.utc)

_OWN: dict[str, tuple[pa.DataType, list[Any]]] = {
    # Names of record columns.
    "error": (pa.string(), ["none", None]),
    "outputs": (pa.list_(pa.string()), [["a"], None]),
    "created_at": (pa.timestamp("us"), [_MOMENT.replace(tzinfo=None), None]),
    "timings": (pa.struct([("fetch", pa.int8())]), [{"fetch": 1}, None]),
    "fingerprint": (pa.int64(), [1, 2]),
    "manifest_fingerprint": (pa.int64(), [3, 4]),
    "schema_version": (pa.bool_(), [True, None]),
    # Types.
    "int8": (pa.int8(), [-128, 127]),
    "uint64": (pa.uint64(), [2**64 - 1, None]),
    "half": (pa.float16(), [1.5, None]),
    "float": (pa.float32(), [0.1, float("nan")]),
    "double": (pa.float64(), [float("inf"), -0.0]),
    "decimal": (pa.decimal128(10, 2), [Decimal("1.20"), None]),
    "date": (pa.date32(), [date(2026, 1, 2), None]),
    "time_us": (pa.time64("us"), [time(1, 2, 3, 4), None]),
    "time_ns": (pa.time64("ns"), [3_723_000_004_001, None]),
    "moment_ns": (pa.timestamp("ns", "UTC"), [1_767_322_800_123_456_789, None]),
    "moment_tz": (pa.timestamp("ms", "Europe/Berlin"), [_MOMENT, None]),
    "duration": (pa.duration("us"), [timedelta(days=1, microseconds=5), None]),
    "binary": (pa.binary(), [b"\x00\xff", None]),
    "fixed": (pa.binary(2), [b"ab", None]),
    "large": (pa.large_string(), ["größe", ""]),
    "category": (pa.dictionary(pa.int8(), pa.string()), ["a", "b"]),
    "structs": (
        pa.list_(pa.struct([("label", pa.string()), ("score", pa.float32())])),
        [[{"label": "cat", "score": 0.5}], []],
    ),
    "map": (pa.map_(pa.string(), pa.int32()), [[("a", 1)], None]),
    "pair": (pa.list_(pa.int32(), 2), [[1, 2], [3, 4]]),
    "nothing": (pa.null(), [None, None]),
    "größe": (pa.string(), ["umlauts", None]),
    "a.b c": (pa.string(), ["a dot and a space", None]),
}


def own_columns() -> pa.Table:
    """Make two rows with pass-through columns."""
    own = {name: pa.array(values, kind) for name, (kind, values) in _OWN.items()}
    return pa.table({"id": ["o1", "o2"], "prompt": ["a", None], "width": [512, 1], **own})
