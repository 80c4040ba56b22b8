"""Small files with rows that are large once they are read, and calls that read their first row."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.pipelines.manifests import opened

_ROWS = 2500
_LONG = "x" * 400_000


def repeated(value: Any, rows: int = _ROWS) -> pa.Array:
    """Return one value many times."""
    indices = pa.repeat(pa.scalar(0, pa.int32()), rows)
    return pa.DictionaryArray.from_arrays(indices, pa.array([value]))


def lists(items: pa.Array) -> pa.Array:
    """Return lists of one item each."""
    return pa.ListArray.from_arrays(pa.array(range(len(items) + 1), pa.int32()), items)


def _first_row(columns: dict[str, pa.Array], *, arrow_types: bool = False) -> None:
    """Write a table and read its first row."""
    rows = len(next(iter(columns.values())))
    table = {"id": pa.array(range(rows)), "prompt": pa.repeat(pa.scalar("a"), rows), **columns}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "m.parquet")
        pq.write_table(pa.table(table), path, store_schema=arrow_types)
        assert path.stat().st_size < 1_000_000
        next(opened(path).entries())


def prompts() -> None:
    _first_row({"prompt": repeated(_LONG)})


def dictionaries() -> None:
    _first_row({"note": repeated(_LONG)}, arrow_types=True)


def styles() -> None:
    _first_row({"style_images": lists(repeated(_LONG))})


def many_items() -> None:
    items = repeated("a.png", 12_000_000)
    _first_row({"style_images": pa.ListArray.from_arrays([0, len(items)], items)})


CALLS = {call.__name__: call for call in (prompts, dictionaries, styles, many_items)}
