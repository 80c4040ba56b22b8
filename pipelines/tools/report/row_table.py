"""The rows of a report in a temporary SQLite file: sorts, joins and counts in bounded memory."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from pipelines.psnr import Distance

_SCHEMA = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
CREATE TABLE incoming (id TEXT, code TEXT, content TEXT, styles TEXT, shown TEXT);
CREATE TABLE other (id TEXT PRIMARY KEY, shown TEXT) WITHOUT ROWID;
CREATE TABLE pictures (key TEXT PRIMARY KEY, why TEXT) WITHOUT ROWID;
CREATE TABLE distances (here TEXT, there TEXT, value, PRIMARY KEY (here, there)) WITHOUT ROWID;
"""
_SORT = """
CREATE TABLE rows AS
    SELECT incoming.*, other.shown AS against FROM incoming LEFT JOIN other USING (id) ORDER BY id;
DROP TABLE incoming;
CREATE INDEX pairs ON rows (content, styles);
"""


class RowRecord(NamedTuple):
    """The part of a record that the report needs.

    Attributes:
        id: id of the row.
        code: failure code; None if the row is completed.
        content: recorded reference of the content image; None without one.
        styles: recorded references of the style images, in order.
        shown: everything that the page shows, as JSON values.
    """

    id: str
    code: str | None
    content: str | None
    styles: tuple[str, ...]
    shown: dict[str, Any]


class Row(NamedTuple):
    """One row of the report.

    Attributes:
        number: position in the order of the ids, from 0.
        record: its record.
        against: the other run's row with the same id, as JSON values; None without one.
    """

    number: int
    record: RowRecord
    against: dict[str, Any] | None


class Pair(NamedTuple):
    """The rows that share a content image and their styles.

    Attributes:
        styles: index of the combination of styles in the request.
        rows: number of rows.
        number: number of the first completed row, or of the first row if all failed.
    """

    styles: int
    rows: int
    number: int


class RowTable:
    """Takes records in any order; after `sort`, reads them in the order of their ids."""

    def __init__(self, folder: Path) -> None:
        """Create a table in `folder`, which the caller removes."""
        self._db = sqlite3.connect(folder / "rows.sqlite", isolation_level=None)
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def add(self, records: Iterable[RowRecord]) -> None:
        """Add records of the run."""
        rows = (
            (row.id, row.code, row.content, json.dumps(row.styles), json.dumps(row.shown))
            for row in records
        )
        self._insert("INSERT INTO incoming VALUES (?, ?, ?, ?, ?)", rows)

    def add_other(self, records: Iterable[tuple[str, dict[str, Any]]]) -> None:
        """Add records of the run to compare with: ids and JSON values for the page."""
        rows = ((row_id, json.dumps(row)) for row_id, row in records)
        self._insert("INSERT OR REPLACE INTO other VALUES (?, ?)", rows)

    def sort(self) -> None:
        """Sort the rows by id, after all were added."""
        self._db.executescript(_SORT)

    def __len__(self) -> int:
        return self._number("SELECT count(*) FROM rows")

    def only_in_other(self) -> int:
        """Return the number of rows that only the other run has."""
        return self._number("SELECT count(*) FROM other WHERE id NOT IN (SELECT id FROM rows)")

    def rows(self, first: int | None = None) -> Iterator[Row]:
        """Yield the rows in order: the first `first` rows, or all."""
        query = "SELECT rowid - 1, id, code, content, styles, shown, against FROM rows"
        return map(_row, self._db.execute(f"{query} ORDER BY rowid LIMIT ?", [_limit(first)]))

    def row(self, number: int) -> Row:
        """Return a row by its number."""
        query = "SELECT rowid - 1, id, code, content, styles, shown, against FROM rows"
        return _row(self._db.execute(f"{query} WHERE rowid = ?", [number + 1]).fetchone())

    def styles(self, most: int) -> list[tuple[str, int]]:
        """Return the most used styles, each with its number of rows."""
        query = (
            "SELECT value, count(*) FROM rows, json_each(rows.styles) "
            "GROUP BY value ORDER BY count(*) DESC, value LIMIT ?"
        )
        return self._db.execute(query, [most]).fetchall()

    def style_sets(self, most: int) -> list[tuple[str, ...]]:
        """Return the most used combinations of styles among rows with a content image."""
        query = (
            "SELECT styles FROM rows WHERE content IS NOT NULL AND styles != '[]' "
            "GROUP BY styles ORDER BY count(*) DESC, styles LIMIT ?"
        )
        return [tuple(json.loads(styles)) for (styles,) in self._db.execute(query, [most])]

    def contents(self, styles: Iterable[tuple[str, ...]], most: int) -> list[str]:
        """Return the most used content images among rows with one of these combinations."""
        query = (
            "SELECT content FROM rows WHERE content IS NOT NULL "
            "AND styles IN (SELECT value FROM json_each(?)) "
            "GROUP BY content ORDER BY count(*) DESC, content LIMIT ?"
        )
        wanted = json.dumps([json.dumps(one) for one in styles])
        return [content for (content,) in self._db.execute(query, [wanted, most])]

    def pairs(self, content: str, styles: Iterable[tuple[str, ...]]) -> list[Pair]:
        """Return the rows of one content image with each of these combinations that it has."""
        query = (
            "SELECT count(*), coalesce(min(CASE WHEN code IS NULL THEN rowid END), min(rowid)) - 1 "
            "FROM rows WHERE content = ? AND styles = ?"
        )
        found = []
        for index, one in enumerate(styles):
            count, number = self._db.execute(query, [content, json.dumps(one)]).fetchone()
            if count:
                found.append(Pair(index, count, number))
        return found

    def claim_picture(self, key: str) -> bool:
        """Claim a thumbnail; returns True if it was not claimed before."""
        query = "INSERT OR IGNORE INTO pictures VALUES (?, 'not made')"
        return self._db.execute(query, [key]).rowcount == 1

    def note_picture(self, key: str, why: str | None) -> None:
        """Note the reason why a thumbnail is missing; None if it exists."""
        self._db.execute("INSERT OR REPLACE INTO pictures VALUES (?, ?)", [key, why])

    def picture(self, key: str) -> tuple[bool, str | None]:
        """Return True if a thumbnail exists, else the reason; None if it was never claimed."""
        found = self._db.execute("SELECT why FROM pictures WHERE key = ?", [key]).fetchone()
        return (False, None) if found is None else (found[0] is None, found[0])

    def claim_distance(self, here: str, there: str) -> bool:
        """Claim the comparison of two pictures; returns True if it was not claimed before."""
        query = "INSERT OR IGNORE INTO distances VALUES (?, ?, NULL)"
        return self._db.execute(query, [here, there]).rowcount == 1

    def note_distance(self, here: str, there: str, value: Distance) -> None:
        """Note the distance of two pictures."""
        query = "INSERT OR REPLACE INTO distances VALUES (?, ?, ?)"
        self._db.execute(query, [here, there, value])

    def distance(self, here: str, there: str) -> Distance | None:
        """Return the distance of two pictures; None if it was not noted."""
        query = "SELECT value FROM distances WHERE here = ? AND there = ?"
        found: tuple[Distance | None] | None = self._db.execute(query, [here, there]).fetchone()
        return None if found is None else found[0]

    def _insert(self, query: str, rows: Iterable[tuple[Any, ...]]) -> None:
        self._db.execute("BEGIN")
        self._db.executemany(query, rows)
        self._db.execute("COMMIT")

    def _number(self, query: str) -> int:
        value: int = self._db.execute(query).fetchone()[0]
        return value


def _limit(most: int | None) -> int:
    return -1 if most is None else most


def _row(found: tuple[Any, ...]) -> Row:
    number, row_id, code, content, styles, shown, against = found
    record = RowRecord(row_id, code, content, tuple(json.loads(styles)), json.loads(shown))
    return Row(number, record, None if against is None else json.loads(against))
