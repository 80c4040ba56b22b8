"""Reads a CSV file in blocks of whole lines, as columns: a few µs for a row.

`csv_table` stays the truth. A block with anything odd in it ends the reading: quotes that are not
closed, a row with another number of cells, text that is not UTF-8, a line that is too long.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Set
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.manifest.bounded_lines import most_row_size
from pipelines.manifest.csv_columns import columns_of
from pipelines.manifest.csv_table import CsvTable, names_in, opened_csv
from pipelines.manifest.text_table import cannot_read_on

_BLOCK = 1 << 20
_MOST_LINES = 1000  # of a block that has a quote open at its end
# As in `csv_table`, where `\s` of ASCII is this class; RE2's has no vertical tab.
_DECIMAL_COMMA = r"^[ \t\n\r\f\v]*[+-]?[0-9]*,[0-9]+([eE][+-]?[0-9]+)?[ \t\n\r\f\v]*$"


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
                columns = columns_of(text, names, delimiter)
                if columns is None:
                    return
                yield Block(_with_points(columns, table.decimal_commas), columns.num_rows)
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
    return joined if most_row_size(joined, most) <= most else None


def _with_points(columns: pa.RecordBatch, names: Set[str]) -> pa.RecordBatch:
    """Return the columns; in those with these names, a point for each decimal comma."""
    for place, name in enumerate(columns.schema.names):
        cells = columns.column(place)
        if name in names and pc.any(pc.match_substring(cells, ",")).as_py():
            points = pc.replace_substring(cells, ",", ".")
            is_number = pc.match_substring_regex(cells, _DECIMAL_COMMA)
            columns = columns.set_column(place, name, pc.if_else(is_number, points, cells))
    return columns
