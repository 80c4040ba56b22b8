"""The manifest: a table of any size, checked and streamed as rows, one batch at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import pyarrow as pa

from pipelines.config.schema import RunConfig
from pipelines.ledger.key_index import row_key
from pipelines.manifest import cells
from pipelines.manifest.columns import ColumnPlan, FileSurvey, plan_columns
from pipelines.manifest.error import ManifestError
from pipelines.manifest.files import find_files
from pipelines.manifest.parquet_reader import read_parquet, survey_parquet
from pipelines.manifest.references import folder_url
from pipelines.manifest.row_identity import content_hash, shard_of
from pipelines.manifest.row_ids import RowIds
from pipelines.manifest.row_parser import RawRow, RowParser, UnreadableRow
from pipelines.manifest.source import ManifestFile
from pipelines.manifest.text_readers import read_text, survey_text
from pipelines.rows import ManifestEntry, ManifestRow, RejectedRow
from pipelines.storage.storage import resolve_secrets
from uso_core.checkpoint import ModelCard
from uso_core.errors import InvalidRequestError

__all__ = ["Manifest", "ManifestError"]

_SURVEY_THREADS = 16


class _Identified(NamedTuple):
    """A raw row and the id that it has by itself, before repeats are told apart."""

    raw: RawRow | UnreadableRow
    extra: dict[str, Any]
    row_id: str
    given: bool
    error: InvalidRequestError | None


class Manifest:
    """The rows of one run.

    Rows come in the order of the files and of the rows in them. Every row becomes one entry: a bad
    one a `RejectedRow`. The second row with an id is rejected under the id `ID~2`, the third under
    `ID~3`; rows without an id that are the same get `HASH`, `HASH-2`, …
    """

    def __init__(
        self,
        config: RunConfig,
        files: Sequence[ManifestFile],
        surveys: Sequence[FileSurvey],
        model: ModelCard,
    ) -> None:
        self._files = files
        self._plan: ColumnPlan = plan_columns(config, surveys)
        self._parser = RowParser(config, model, self._plan.inputs)
        self._limit = config.manifest.limit
        self._shard = config.manifest.shard_index
        base = config.manifest.base_uri
        self._base = None if base is None else folder_url(base)
        self._counts = [survey.num_rows for survey in surveys]

    @classmethod
    def open(cls, config: RunConfig, model: ModelCard) -> Manifest:
        """Find the files and look at their columns; no row is checked yet.

        Of Parquet files only the footers are read, of CSV the first lines; JSON is read once.

        Raises:
            ManifestError: nothing is there, a file is unreadable, no column is usable, the mapping
                names a column that is not there, or a default is not accepted by the model.
        """
        try:
            options = resolve_secrets(config.storage)
        except ValueError as error:
            raise ManifestError("storage", str(error)) from error
        with ThreadPoolExecutor(_SURVEY_THREADS, "manifest-survey") as pool:
            found = find_files(config.manifest, options)
            files = list(pool.map(ManifestFile.looked_at, found))
            surveys = list(pool.map(_survey, files))
        return cls(config, files, surveys, model)

    @property
    def total_rows(self) -> int | None:
        """How many entries there will be; None where only reading them would tell."""
        if self._shard is not None:
            return None
        known = [count for count in self._counts if count is not None]
        if self._limit is not None and sum(known) >= self._limit:
            return self._limit
        return sum(known) if len(known) == len(self._counts) else None

    @property
    def extra_schema(self) -> pa.Schema:
        """The user's own columns, as they go to the record."""
        return self._plan.extra_schema

    def entries(self) -> Iterator[ManifestEntry]:
        """The rows, from the first; memory does not grow with them but for 16 bytes each.

        Raises:
            ManifestError: a file is gone, has changed since `open`, or is damaged.
        """
        ids = RowIds()
        left = self._limit
        for file in self._files:
            folder = file.folder if self._base is None else self._base
            file.check_unchanged()
            for chunk in self._read(file):
                taken = chunk if left is None else chunk[:left]
                yield from self._checked(taken, folder, ids)
                if left is not None:
                    left -= len(taken)
                    if left == 0:
                        return

    def _read(self, file: ManifestFile) -> Iterator[list[tuple[Any, dict[str, Any]]]]:
        if file.format == "parquet":
            return read_parquet(file, self._plan)
        return read_text(file, self._plan)

    def _checked(
        self,
        rows: Sequence[tuple[RawRow | UnreadableRow, dict[str, Any]]],
        folder: str,
        ids: RowIds,
    ) -> Iterator[ManifestEntry]:
        identified = [_identify(raw, extra) for raw, extra in rows]
        if self._shard is not None:
            index, num_shards = self._shard
            identified = [
                item for item in identified if shard_of(row_key(item.row_id), num_shards) == index
            ]
        ordinals = ids.claim([item.row_id for item in identified])
        for item, ordinal in zip(identified, ordinals, strict=True):
            yield ManifestEntry(self._row(item, ordinal, folder, ids), item.extra)

    def _row(
        self, item: _Identified, ordinal: int, folder: str, ids: RowIds
    ) -> ManifestRow | RejectedRow:
        row_id = item.row_id
        if ordinal > 1:
            row_id = ids.variant(row_id, "~" if item.given else "-", ordinal)
        if isinstance(item.raw, UnreadableRow):
            return self._parser.reject_unreadable(item.raw, row_id)
        if item.error is not None:
            return self._parser.reject_id(item.raw, row_id, item.error)
        if item.given and ordinal > 1:
            return self._parser.reject_repeat(item.raw, row_id, item.row_id)
        return self._parser.parse(item.raw, row_id, folder)


def _survey(file: ManifestFile) -> FileSurvey:
    return survey_parquet(file) if file.format == "parquet" else survey_text(file)


def _identify(raw: RawRow | UnreadableRow, extra: dict[str, Any]) -> _Identified:
    if isinstance(raw, UnreadableRow):
        return _Identified(raw, extra, content_hash(raw.line), given=False, error=None)
    given = raw.get("id")
    if given is None:
        return _Identified(raw, extra, content_hash(raw), given=False, error=None)
    try:
        return _Identified(raw, extra, cells.identifier(given), given=True, error=None)
    except InvalidRequestError as error:
        return _Identified(raw, extra, content_hash(raw), given=False, error=error)
