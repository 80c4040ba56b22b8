"""The rows of a report in a temporary SQLite file: sorted, joined and counted in bounded memory."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from pipelines.tools.report.psnr import Distance

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
    """What is kept of one record.

    Attributes:
        id: of the row.
        code: why it failed; None: completed.
        content: the reference as it is recorded; None: there is none.
        styles: likewise, in order.
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
        number: its place in the order of the ids, from 0.
        record: see `RowRecord`.
        against: what the other run has of the same id; None: nothing, or there is no other run.
    """

    number: int
    record: RowRecord
    against: dict[str, Any] | None


class Pair(NamedTuple):
    """The rows that share a content image and their styles.

    Attributes:
        styles: index of the styles among those asked for.
        rows: how many there are.
        number: of the first completed one, else of the first.
    """

    styles: int
    rows: int
    number: int


class RowTable:
    """Takes the records in any order; after `sort` they are read in the order of their ids."""

    def __init__(self, folder: Path) -> None:
        """A new table in `folder`, which the caller removes."""
        self._db = sqlite3.connect(folder / "rows.sqlite", isolation_level=None)
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def add(self, records: Iterable[RowRecord]) -> None:
        """Take records of the run."""
        rows = (
            (row.id, row.code, row.content, json.dumps(row.styles), json.dumps(row.shown))
            for row in records
        )
        self._insert("INSERT INTO incoming VALUES (?, ?, ?, ?, ?)", rows)

    def add_other(self, records: Iterable[tuple[str, dict[str, Any]]]) -> None:
        """Take records of the run to compare with: ids, and what is shown of them."""
        rows = ((row_id, json.dumps(row)) for row_id, row in records)
        self._insert("INSERT OR REPLACE INTO other VALUES (?, ?)", rows)

    def sort(self) -> None:
        """Put the rows in the order of their ids, once all are added."""
        self._db.executescript(_SORT)

    def __len__(self) -> int:
        return self._number("SELECT count(*) FROM rows")

    def only_in_other(self) -> int:
        """How many rows only the other run has."""
        return self._number("SELECT count(*) FROM other WHERE id NOT IN (SELECT id FROM rows)")

    def rows(self, first: int | None = None) -> Iterator[Row]:
        """The rows in order; the `first` so many, or all."""
        query = "SELECT rowid - 1, id, code, content, styles, shown, against FROM rows"
        return map(_row, self._db.execute(f"{query} ORDER BY rowid LIMIT ?", [_limit(first)]))

    def row(self, number: int) -> Row:
        """One row by its number."""
        query = "SELECT rowid - 1, id, code, content, styles, shown, against FROM rows"
        return _row(self._db.execute(f"{query} WHERE rowid = ?", [number + 1]).fetchone())

    def styles(self, most: int) -> list[tuple[str, int]]:
        """The most used styles, each with its number of rows."""
        query = (
            "SELECT value, count(*) FROM rows, json_each(rows.styles) "
            "GROUP BY value ORDER BY count(*) DESC, value LIMIT ?"
        )
        return self._db.execute(query, [most]).fetchall()

    def style_sets(self, most: int) -> list[tuple[str, ...]]:
        """The combinations of styles that most rows with a content image have."""
        query = (
            "SELECT styles FROM rows WHERE content IS NOT NULL AND styles != '[]' "
            "GROUP BY styles ORDER BY count(*) DESC, styles LIMIT ?"
        )
        return [tuple(json.loads(styles)) for (styles,) in self._db.execute(query, [most])]

    def contents(self, styles: Iterable[tuple[str, ...]], most: int) -> list[str]:
        """The content images that most rows with one of these combinations have."""
        query = (
            "SELECT content FROM rows WHERE content IS NOT NULL "
            "AND styles IN (SELECT value FROM json_each(?)) "
            "GROUP BY content ORDER BY count(*) DESC, content LIMIT ?"
        )
        wanted = json.dumps([json.dumps(one) for one in styles])
        return [content for (content,) in self._db.execute(query, [wanted, most])]

    def pairs(self, content: str, styles: Iterable[tuple[str, ...]]) -> list[Pair]:
        """What there is of one content image with each of these combinations."""
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
        """Whether nobody has claimed this thumbnail yet."""
        query = "INSERT OR IGNORE INTO pictures VALUES (?, 'not made')"
        return self._db.execute(query, [key]).rowcount == 1

    def note_picture(self, key: str, why: str | None) -> None:
        """Say why there is no such thumbnail; None: there is one."""
        self._db.execute("INSERT OR REPLACE INTO pictures VALUES (?, ?)", [key, why])

    def picture(self, key: str) -> tuple[bool, str | None]:
        """Whether there is such a thumbnail, and why not; None: none was asked for."""
        found = self._db.execute("SELECT why FROM pictures WHERE key = ?", [key]).fetchone()
        return (False, None) if found is None else (found[0] is None, found[0])

    def claim_distance(self, here: str, there: str) -> bool:
        """Whether nobody has claimed to compare the pictures with these keys yet."""
        query = "INSERT OR IGNORE INTO distances VALUES (?, ?, NULL)"
        return self._db.execute(query, [here, there]).rowcount == 1

    def note_distance(self, here: str, there: str, value: Distance) -> None:
        """Say how far apart two pictures are."""
        query = "INSERT OR REPLACE INTO distances VALUES (?, ?, ?)"
        self._db.execute(query, [here, there, value])

    def distance(self, here: str, there: str) -> Distance | None:
        """How far apart two pictures are; None: nobody has said so."""
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
