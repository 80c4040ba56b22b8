"""Reads a CSV file in blocks of whole lines, as columns: a few µs for a row.

`csv_table` stays the truth. A block with anything odd in it ends the reading: quotes that are not
closed, a row with another number of cells, text that is not UTF-8, a line that is too long.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.manifest.csv_table import CsvTable, names_in, opened_csv
from pipelines.manifest.text_table import cannot_read_on

_BLOCK = 1 << 20
_MOST_LINES = 1000  # of a block that has a quote open at its end


class Block(NamedTuple):
    """Some rows.

    Attributes:
        columns: the cells as text, under the names in the file; an empty cell is null.
        rows: the number of rows.
    """

    columns: pa.RecordBatch
    rows: int


def read_blocks(table: CsvTable) -> Iterator[Block | None]:
    """Yield the rows of a file in order; None at its end, if all of them were usual.

    Raises:
        ManifestError: the file is gone or has changed.
    """
    if table.decimal_commas:
        return
    try:
        with opened_csv(table.file) as source:
            lines, delimiter = source.lines, source.dialect.delimiter
            names = names_in(csv.reader(lines, delimiter=delimiter))
            while True:
                text = _block(source.text, table.file.max_row_bytes)
                if text is None:
                    return
                if not text:
                    yield None
                    return
                block = _parsed(text, names, delimiter)
                if block is None:
                    return
                yield block
    except OSError as error:
        raise cannot_read_on(table.file, error) from error


def _block(text: io.TextIOWrapper, most: int) -> str | None:
    """Read whole lines; empty at the end of the file, None if they are odd."""
    pieces = [text.read(_BLOCK)]
    quotes = pieces[0].count('"')
    for _ in range(_MOST_LINES):
        if pieces[-1].endswith("\n") and quotes % 2 == 0:
            break
        line = text.readline(min(most, _BLOCK) + 1)
        if not line:
            break
        quotes += line.count('"')
        pieces.append(line)
    else:
        return None
    joined = "".join(pieces)
    return joined if len(joined) <= most else None


def _parsed(text: str, names: list[str], delimiter: str) -> Block | None:
    """Return the rows of some lines; None if one of them is odd."""
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            return None
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        rows = [cells for cells in reader if cells]
    except csv.Error:  # among others, a quote that is still open at the end
        return None
    if any(len(cells) != len(names) for cells in rows):
        return None
    columns = zip(*rows, strict=True) if rows else [[] for _ in names]
    arrays = [_filled(pa.array(cells, pa.string())) for cells in columns]
    return Block(pa.RecordBatch.from_arrays(arrays, names), len(rows))


def _filled(column: pa.Array) -> pa.Array:
    return pc.if_else(pc.equal(column, ""), pa.scalar(None, pa.string()), column)
