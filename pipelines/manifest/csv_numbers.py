"""Finds the columns of CSV files that are numbers.

A column is a number if every cell of all CSV files that is not empty is one (see `number_text`), so
the files are read once before the run, like JSON Lines. Only columns that are copied to the records
are looked at. Ids, prompts and all other inputs stay text, and so the ids of rows stay the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import cast

import pyarrow as pa

from pipelines.config.inputs import ManifestConfig
from pipelines.fields.table import FIELDS
from pipelines.manifest.columns import input_columns
from pipelines.manifest.csv_blocks import read_blocks
from pipelines.manifest.csv_table import CsvTable
from pipelines.manifest.number_text import is_integer, is_number
from pipelines.manifest.table import Table
from pipelines.record import from_text, is_from_text

_THREADS = 16
_EXACT = 2**53  # integers up to here are floating-point numbers too
_NOT_FINITE = frozenset({"nan", "inf", "-inf", "infinity", "-infinity"})
_CHUNK_ROWS = 4096
# Cells, each with a line end: empty, or an integer of at most 15 digits, or a number of at most 17.
_INTEGERS = re.compile(r"(?:(?:-?(?:0|[1-9]\d{0,14}))?\n)*", re.ASCII)
_NUMBERS = re.compile(
    r"(?:(?:-?(?:0\.\d{1,17}|(?=[\d.]{1,18}\n)(?:0|[1-9]\d{0,14})(?:\.\d*)?))?\n)*", re.ASCII
)
_NUMBER_INPUTS = frozenset(field.name for field in FIELDS if field.kind.arrow != "string")


@dataclass(slots=True)
class _Column:
    """Properties of the cells of a column so far.

    Attributes:
        is_text: True if one of them is not a number.
        has_numbers: True if one is a finite number.
        has_fractions: True if one is not an integer.
        has_large: True if one is an integer that a floating-point number cannot hold.
        has_points: True if a number has a decimal point or an exponent.
        has_commas: True if a number has a decimal comma.
    """

    is_text: bool = False
    has_numbers: bool = False
    has_fractions: bool = False
    has_large: bool = False
    has_points: bool = False
    has_commas: bool = False

    def add(self, cells: Sequence[str], *, may_have_commas: bool) -> None:
        """Look at cells; the usual ones all at once."""
        joined = "\n".join([*cells, ""])
        usual = joined.count("\n") == len(cells)
        if usual and _INTEGERS.fullmatch(joined):
            self.has_numbers = self.has_numbers or len(joined) > len(cells)
        elif usual and _NUMBERS.fullmatch(joined):
            self.has_numbers = self.has_fractions = self.has_points = True
        else:
            for cell in cells:
                if cell:
                    self._add(cell.strip(), may_have_commas=may_have_commas)
                if self.is_text:
                    break
        self.is_text = self.is_text or (self.has_commas and self.has_points)

    def _add(self, text: str, *, may_have_commas: bool) -> None:
        if is_integer(text):
            self.has_numbers = True
            self.has_large = self.has_large or abs(int(text)) > _EXACT
            return
        self.has_fractions = True
        if is_number(text):
            self.has_numbers = self.has_points = True
        elif may_have_commas and text.count(",") == 1 and is_number(text.replace(",", ".")):
            self.has_numbers = self.has_commas = True
        else:
            self.is_text = self.is_text or text.lower() not in _NOT_FINITE


def with_numbers(tables: Sequence[Table], config: ManifestConfig) -> list[Table]:
    """Return the tables, with the types of numbers for columns of CSV files that are numbers.

    Raises:
        ManifestError: a file is gone or has changed.
    """
    inputs = input_columns(config)
    commas = {theirs for theirs, ours in inputs.items() if ours in _NUMBER_INPUTS}
    csvs = [table for table in tables if isinstance(table, CsvTable)]
    with ThreadPoolExecutor(_THREADS, "csv-survey") as pool:
        surveys = list(pool.map(lambda csv: _survey(csv, _own(csv, config, inputs)), csvs))
    columns: dict[str, list[_Column]] = {}
    for survey in surveys:
        for name, column in survey.items():
            columns.setdefault(name, []).append(column)
    others = [table for table in tables if not isinstance(table, CsvTable)]
    kinds = {
        name: pa.string() if _has_text(name, others) else _kind(found)
        for name, found in columns.items()
    }
    return [
        _settled(table, kinds, commas) if isinstance(table, CsvTable) else table for table in tables
    ]


def _own(csv: CsvTable, config: ManifestConfig, inputs: Collection[str]) -> list[str]:
    """Return the names of the columns that are copied to the records."""
    wanted = config.keep_columns
    if wanted == "none" or not config.csv_numbers:
        return []
    return [
        name
        for name in csv.schema.names
        if name not in inputs and (wanted == "all" or name in wanted)
    ]


def _survey(csv: CsvTable, names: Iterable[str]) -> dict[str, _Column]:
    columns = {name: _Column() for name in names}
    if not columns:
        return columns
    places = {csv.schema.names.index(name): column for name, column in columns.items()}
    for some in _cells_of(csv):
        for place, column in list(places.items()):
            column.add(some(place), may_have_commas=csv.dialect.may_have_decimal_commas)
            if column.is_text:
                del places[place]
        if not places:
            break
    return columns


def _cells_of(csv: CsvTable) -> Iterator[Callable[[int], list[str]]]:
    """Yield functions that return the cells of some rows in the column at a place."""
    done = 0
    for block in read_blocks(csv):
        if block is None:
            return
        done += block.rows
        yield partial(_of_block, block.columns)
    rows = islice(csv.cells(), done, None)
    while some := list(islice(rows, _CHUNK_ROWS)):
        yield partial(_of_rows, some)


def _of_block(columns: pa.RecordBatch, place: int) -> list[str]:
    return cast("list[str]", columns.column(place).fill_null("").to_pylist())


def _of_rows(rows: list[list[str]], place: int) -> list[str]:
    return [row[place] for row in rows]


def _kind(columns: Sequence[_Column]) -> pa.DataType:
    """Return the type for the column's cells in all files."""
    if any(column.is_text for column in columns) or not any(c.has_numbers for c in columns):
        return pa.string()
    if not any(column.has_fractions for column in columns):
        return pa.int64()
    return pa.string() if any(column.has_large for column in columns) else pa.float64()


def _has_text(name: str, tables: Iterable[Table]) -> bool:
    """Return True if a column of typed files is not a number, but text or something else."""
    kinds = [table.schema.field(name).type for table in tables if name in table.schema.names]
    numbers = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_null)
    return not all(any(is_kind(kind) for is_kind in numbers) for kind in kinds)


def _settled(
    csv: CsvTable, kinds: dict[str, pa.DataType], number_inputs: Collection[str]
) -> CsvTable:
    fields = [pa.field(name, kinds.get(name, pa.string())) for name in csv.schema.names]
    fields = [field if pa.types.is_string(field.type) else from_text(field) for field in fields]
    commas: set[str] = set()
    if csv.dialect.may_have_decimal_commas:
        numbers = {field.name for field in fields if is_from_text(field)}
        commas = (numbers | set(number_inputs)) & set(csv.schema.names)
    return csv.with_numbers(pa.schema(fields), commas)
