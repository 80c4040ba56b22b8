"""The wish of each row about training and mining, from a column of the user's own."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any, get_args

from pipelines.config.schema import RunConfig
from pipelines.display import display_value
from pipelines.errors import ConfigError
from pipelines.failures import Failure
from pipelines.manifest.row_identity import rejected_for_own_columns
from pipelines.rows import ManifestRow, RejectedRow, TrainingMining

_KEY = "output.provenance.training_mining_column"
_WORDS: dict[str, TrainingMining] = {word.lower(): word for word in get_args(TrainingMining)}


class RowWishes:
    """Gives rows the wishes that their images state.

    Args:
        column: the name of the column.
        columns: the names of the user's own columns, as rows pass them on.

    Raises:
        ConfigError: there is no such column.
    """

    def __init__(self, column: str, columns: Collection[str]) -> None:
        if column not in columns:
            known = ", ".join(columns) or "none"
            raise ConfigError(
                f"{_KEY}: {column!r} is not among the columns that go to the records ({known}); "
                "check its name and manifest.keep_columns"
            )
        self._column = column

    @classmethod
    def of(cls, config: RunConfig, columns: Collection[str]) -> RowWishes | None:
        """Return the wishes of a configuration; None if it names no column.

        Raises:
            ConfigError: there is no such column.
        """
        provenance = config.output.provenance
        if not provenance.c2pa or provenance.training_mining_column is None:
            return None
        return cls(provenance.training_mining_column, columns)

    def stated(self, row: ManifestRow, own: Mapping[str, Any]) -> ManifestRow | RejectedRow:
        """Return the row with its wish, or rejected if the cell holds another word.

        Args:
            row: the row.
            own: the values of the user's own columns.
        """
        value = own.get(self._column)
        if value is None or value == "":
            return row
        wish = _WORDS.get(str(value).strip().lower())
        if wish is not None:
            return replace(row, training_mining=wish)
        failure = Failure(
            "invalid_request",
            f"{self._column}: {display_value(value)} is not a wish about training and mining "
            f"({_KEY}); give {', '.join(_WORDS.values())}, or leave it empty",
        )
        return rejected_for_own_columns(row, failure, self._column)
