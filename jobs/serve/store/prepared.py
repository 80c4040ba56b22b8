"""Statements that every task needs: compiled once, and given to SQLite without further layers.

SQLAlchemy takes 100 µs for a statement that it has compiled before, and SQLite itself 10 µs. For
Postgres, the statements go through SQLAlchemy like all others.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite
from sqlalchemy.sql.dml import UpdateBase

from jobs.serve.store.inline import Connection, InlineConnection

Values: TypeAlias = Mapping[str, Any]
Statement: TypeAlias = sa.Select[Any] | UpdateBase
_Convert: TypeAlias = Callable[[Any], Any]

_DIALECT = sqlite.dialect(paramstyle="named")


@dataclass(frozen=True, slots=True)
class Found:
    """The rows that a statement has found or changed, read to the end.

    Attributes:
        rows: rows whose columns are attributes; none if the statement returns none.
        count: rows that were changed.
    """

    rows: Sequence[Any]
    count: int

    @property
    def one(self) -> Any:  # noqa: ANN401 (a row)
        """The only row, or None."""
        return self.rows[0] if self.rows else None


class Prepared:
    """A statement with parameters by name.

    It has no `IN` with values: these would need another text for each number of values.
    """

    def __init__(self, statement: Statement, *names: str) -> None:
        """Prepare a statement.

        Args:
            statement: the statement.
            names: its parameters; those of an insert are its columns.
        """
        self._statement = statement
        self._names = names

    async def run(self, connection: Connection, values: Values) -> Found:
        """Execute the statement.

        Raises:
            sqlite3.Error, sqlalchemy.exc.DBAPIError: as the database raises it.
        """
        if isinstance(connection, InlineConnection):
            cursor = connection.driver.execute(self._sql.text, self._sql.bound(values))
            return Found(self._sql.rows(cursor.fetchall()), cursor.rowcount)
        result = await connection.execute(self._statement, values)
        return Found(result.all() if result.returns_rows else (), result.rowcount)

    async def run_for_each(self, connection: Connection, values: Sequence[Values]) -> None:
        """Execute the statement, which returns no rows, once with each mapping of `values`."""
        if isinstance(connection, InlineConnection):
            connection.driver.executemany(self._sql.text, map(self._sql.bound, values))
        else:
            await connection.execute(self._statement, values)

    @cached_property
    def _sql(self) -> _Sql:
        return _Sql(self._statement, self._names)


class _Sql:
    """The text of a statement for SQLite, and the conversions of its values, e.g. JSON."""

    def __init__(self, statement: Statement, names: Sequence[str]) -> None:
        compiled: Any = statement.compile(dialect=_DIALECT, column_keys=list(names))
        self.text = str(compiled)
        self._fixed = {
            name: bind.value for name, bind in compiled.binds.items() if name not in names
        }
        self._writers = {
            name: convert
            for name, bind in compiled.binds.items()
            if (convert := _kind(bind.type).bind_processor(_DIALECT)) is not None
        }
        columns = list(statement.exported_columns)
        self._readers: list[tuple[int, _Convert]] = [
            (place, convert)
            for place, column in enumerate(columns)
            if (convert := _kind(column.type).result_processor(_DIALECT, None)) is not None
        ]
        row: Any = namedtuple("Row", tuple(column.name for column in columns))  # type: ignore[misc]
        self._row: _Convert = row._make

    def bound(self, values: Values) -> Values:
        """Return the values as SQLite takes them, and the fixed ones of the statement."""
        bound = {**self._fixed, **values}
        for name, convert in self._writers.items():
            bound[name] = convert(bound[name])
        return bound

    def rows(self, found: list[Any]) -> list[Any]:
        """Return rows whose columns are attributes."""
        return [self._converted(values) for values in found]

    def _converted(self, values: Sequence[Any]) -> Any:  # noqa: ANN401 (a named tuple)
        if self._readers:
            values = list(values)
            for place, convert in self._readers:
                values[place] = convert(values[place])
        return self._row(values)


def _kind(kind: sa.types.TypeEngine[Any]) -> sa.types.TypeEngine[Any]:
    """Return a type as SQLite has it."""
    return kind.dialect_impl(_DIALECT)
