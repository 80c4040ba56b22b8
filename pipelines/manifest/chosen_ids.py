"""The ids of chosen rows, as a file lists them: what the report exports, or a list of one's own."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import PurePosixPath

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.config.inputs import ManifestConfig
from pipelines.errors import ManifestError
from pipelines.fields.cells import identifier
from pipelines.keys.index import SortedKeys, UInt64, halves_of, row_keys
from pipelines.manifest.columns import ColumnPlan
from pipelines.manifest.files import open_tables
from pipelines.manifest.row_parser import OversizedRow, UnreadableRow
from pipelines.manifest.source import READING
from pipelines.manifest.table import Table
from pipelines.manifest.table_formats import FORMATS
from pipelines.storage.files import Place
from pipelines.storage.filesystems import Options
from pipelines.storage.reading import Reading
from pipelines.storage.urls import redact_uri
from uso_core.errors import InvalidRequestError

_ENDINGS = tuple(ending for it in FORMATS.values() for ending in it.endings)
_MOST_NAMED = 5


class ChosenIds:
    """Ids of rows, about 150 bytes each.

    Attributes:
        uri: the file that lists them, without credentials.
        ids: the ids.
    """

    def __init__(self, uri: str, ids: frozenset[str]) -> None:
        self.uri = uri
        self.ids = ids
        keys = halves_of(row_keys(row_id.encode() for row_id in ids))
        self._keys = SortedKeys.sort(*keys, np.zeros(len(ids), np.bool_))

    def has(self, high: UInt64, low: UInt64) -> npt.NDArray[np.bool_]:
        """Return for each key of an id, `[n]`, whether the id is chosen."""
        return np.asarray(self._keys.find(high, low) >= 0)

    def check_known(self, known: Collection[str], place: str) -> None:
        """Raise `ManifestError` that names the ids that `place` has no row for.

        Args:
            known: the chosen ids that `place` has.
            place: the manifest or output, for the message.
        """
        unknown = sorted(self.ids.difference(known))
        if not unknown:
            return
        named = ", ".join(repr(row_id) for row_id in unknown[:_MOST_NAMED])
        more = f" and {len(unknown) - _MOST_NAMED:,} more" if len(unknown) > _MOST_NAMED else ""
        raise ManifestError(
            self.uri,
            f"{len(unknown):,} of {len(self.ids):,} ids have no row in {place}: {named}{more}; "
            "correct or remove them",
        )


def read_ids(url: str, options: Options, finding: Reading = READING) -> ChosenIds:
    """Return the ids in a file.

    A file whose name ends like a table is a table with the column `id`. Any other file is text with
    an id in each line; empty lines do not count.

    Args:
        url: a path or any fsspec URL.
        options: fsspec options by protocol, secrets resolved.
        finding: the handling of faults until the file is found.

    Raises:
        ManifestError: the file is not there or cannot be read, it has no id, or an id that no row
            can have.
    """
    ending = PurePosixPath(url.partition("?")[0]).suffix.lower()
    if ending in _ENDINGS:
        section = ManifestConfig.model_validate({"path": url, "keep_columns": "none"})
        tables = open_tables(section, options, finding)
        ids = frozenset(row_id for table in tables for row_id in _of_table(table))
    else:
        ids = frozenset(_lines(url, options, finding))
    shown = redact_uri(url)
    if not ids:
        raise ManifestError(shown, "contains no id; give at least one")
    return ChosenIds(shown, ids)


def _lines(url: str, options: Options, finding: Reading) -> Iterator[str]:
    file = Place(url, options, finding).file()
    if file is None:
        raise ManifestError(redact_uri(url), "is a folder; give a file with an id in each line")
    with file.open_lines() as source:
        try:
            text = source.read().decode("utf-8-sig")
        except UnicodeError as error:
            raise ManifestError(file.uri, f"cannot be read as UTF-8 ({error})") from error
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield _identifier(f"{file.uri}, line {number}", line.strip())


def _of_table(table: Table) -> Iterator[str]:
    if "id" not in table.schema.names:
        held = ", ".join(table.schema.names) or "none"
        raise ManifestError(
            table.uri,
            f"no column 'id'; its columns are {held}; or give the ids in a .txt file, one per line",
        )
    for batch in table.batches(ColumnPlan({"id": "id"}, pa.schema([]), ())):
        for raw, _ in batch.rows():
            if isinstance(raw, UnreadableRow):
                raise ManifestError(raw.where, f"{raw.reason}; correct this line or remove it")
            if isinstance(raw, OversizedRow):
                raise ManifestError(table.uri, "its column 'id' holds a value that is too large")
            yield _identifier(table.uri, raw["id"])


def _identifier(where: str, value: object) -> str:
    try:
        return identifier(value)
    except InvalidRequestError as error:
        raise ManifestError(where, f"has an id that no row can have: {error}") from error
