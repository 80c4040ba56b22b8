"""The delimiter of a CSV file, as its first line tells it."""

from __future__ import annotations

import csv
import re
from typing import NamedTuple

from pipelines.fields.table import ALIASES, INPUT_NAMES

_COMMA = ","
DELIMITERS = (_COMMA, ";", "\t", "|")
"""The usual delimiters; the first of two that a line has as many of."""
_INPUTS = frozenset({*INPUT_NAMES, *ALIASES})
_QUOTED = re.compile(r'"[^"]*("|$)')
_EXCEL = re.compile(r'"?sep=([^"])"?', re.IGNORECASE)


class Dialect(NamedTuple):
    """The way in which a CSV file is written.

    Attributes:
        delimiter: the character between cells.
        skipped_lines: the number of lines before the names of the columns.
    """

    delimiter: str
    skipped_lines: int = 0

    @property
    def may_have_decimal_commas(self) -> bool:
        """True if a comma can be in a cell without quotes."""
        return self.delimiter != _COMMA


def dialect_of(first_line: str, *, is_tabs: bool) -> Dialect:
    """Return the dialect of a file.

    The delimiter is the one that gives most names of inputs, because a name such as
    `caption (en, de)` has others in it. If several do, it is the one that the line has most of.

    Args:
        first_line: the first line, with its end.
        is_tabs: True if the name of the file says that tabs delimit its cells.
    """
    line = first_line.strip("\r\n")
    excel = _EXCEL.fullmatch(line)
    if excel is not None:
        return Dialect(excel[1], skipped_lines=1)
    if is_tabs:
        return Dialect("\t")
    outside = _QUOTED.sub("", line)

    def rank(delimiter: str) -> tuple[int, int]:
        return _num_inputs(line, delimiter), outside.count(delimiter)

    return Dialect(max(DELIMITERS, key=rank))


def _num_inputs(line: str, delimiter: str) -> int:
    try:
        names = next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        return 0
    return sum(name.strip() in _INPUTS for name in names)
