"""Lines of CSV as Arrow columns: Arrow's parser takes the lines that it reads as `csv` does.

`csv` stays the truth. Arrow takes a quote or a line end in places where `csv` gives an error or
reads something else, so these places are looked for first; they are rare.
"""

from __future__ import annotations

import csv
import io

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from pipelines.manifest.csv_dialect import DELIMITERS

_QUOTE, _CARRIAGE_RETURN, _LINE_END = b'"\r\n'
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_MOST_BYTES = 2**30  # Arrow counts the bytes of a block in 32 bits
_NONE = pa.scalar(None, pa.string())


def columns_of(text: str, names: list[str], delimiter: str) -> pa.RecordBatch | None:
    """Return the cells of whole lines, as text; an empty cell is null, an empty line no row.

    Args:
        text: the lines.
        names: the names of the columns.
        delimiter: the character between cells.

    Returns:
        The columns; None if a line is odd: it is not UTF-8, has another number of cells, or a
        quote that is not closed or has text behind it.
    """
    try:
        data = text.encode()
    except UnicodeEncodeError:
        return None
    found = _by_arrow(data, len(names), delimiter) if _suits_arrow(data, delimiter) else None
    arrays = _by_csv(text, len(names), delimiter) if found is None else found
    return None if arrays is None else pa.RecordBatch.from_arrays(arrays, names)


def _suits_arrow(data: bytes, delimiter: str) -> bool:
    """Return True if each quote opens or closes a cell, or is doubled in one."""
    if delimiter not in DELIMITERS or len(data) > _MOST_BYTES or b"\0" in data:
        return False
    if data.startswith(_BYTE_ORDER_MARK):
        return False
    if b"\r" in data and data.count(b"\r") != data.count(b"\r\n"):
        return False
    places = np.flatnonzero(np.frombuffer(data, np.uint8) == _QUOTE)
    if len(places) % 2:
        return False
    marks = np.zeros(256, bool)
    marks[[_QUOTE, _CARRIAGE_RETURN, _LINE_END, ord(delimiter)]] = True
    # An end of the data counts like a line end.
    around = np.frombuffer(b"\n%b\n" % data, np.uint8)
    before, after = around[places[0::2]], around[places[1::2] + 2]
    return bool(marks[before].all() and marks[after].all())


def _by_arrow(data: bytes, width: int, delimiter: str) -> list[pa.Array] | None:
    names = [str(place) for place in range(width)]  # the user's may be equal
    try:
        table = pa_csv.read_csv(
            pa.BufferReader(data),
            pa_csv.ReadOptions(use_threads=False, block_size=len(data) + 1, column_names=names),
            pa_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
            pa_csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()),
                null_values=[""],
                strings_can_be_null=True,
            ),
        )
    except pa.ArrowInvalid:  # `csv` tells whether there is a fault
        return None
    return [column.combine_chunks() for column in table.columns]


def _by_csv(text: str, width: int, delimiter: str) -> list[pa.Array] | None:
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        rows = [cells for cells in reader if cells]
    except csv.Error:  # among others, a quote that is still open at the end
        return None
    if any(len(cells) != width for cells in rows):
        return None
    columns = zip(*rows, strict=True) if rows else [[] for _ in range(width)]
    return [_filled(pa.array(cells, pa.string())) for cells in columns]


def _filled(column: pa.Array) -> pa.Array:
    return pc.if_else(pc.equal(column, ""), _NONE, column)
