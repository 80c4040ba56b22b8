"""The manifest: a table of any size, checked and streamed as rows, one batch at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.config.schema import RunConfig
from pipelines.config.variables import resolve_secrets
from pipelines.errors import ManifestError
from pipelines.keys.index import halves_of, row_key
from pipelines.manifest.cells import identifier
from pipelines.manifest.columns import ColumnPlan, FileSurvey, plan_columns
from pipelines.manifest.files import find_files
from pipelines.manifest.parquet_reader import parquet_batches, raw_rows, survey_parquet
from pipelines.manifest.references import folder_url
from pipelines.manifest.row_identity import content_hash, shard_of
from pipelines.manifest.row_ids import RowIds
from pipelines.manifest.row_parser import RawRow, RowParser, UnreadableRow
from pipelines.manifest.skipping import SkippableRows
from pipelines.manifest.source import ManifestFile
from pipelines.manifest.source_digest import Digests, SourceDigests, id_keys
from pipelines.manifest.text_readers import TextChunk, read_text, survey_text
from pipelines.rows import ManifestEntry, ManifestRow, RejectedRow
from uso_core.errors import InvalidRequestError
from uso_core.loading.source import ModelCard

__all__ = ["Batch", "Manifest", "ManifestError"]

_SURVEY_THREADS = 16


class Batch(NamedTuple):
    """Some rows of the manifest, in order.

    Attributes:
        entries: those to look at.
        num_left_out: how many others there were, which are done.
    """

    entries: list[ManifestEntry]
    num_left_out: int


class _Raw(NamedTuple):
    """A row as it is written."""

    cells: RawRow | UnreadableRow
    extra: dict[str, Any]
    source_digest: int | None = None


class _Identified(NamedTuple):
    """A raw row and the id that it has by itself, before repeats are told apart."""

    raw: _Raw
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
        self._digests = SourceDigests(config, model, self._plan.inputs)
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
        """All rows, one by one; see `batches`."""
        for batch in self.batches():
            yield from batch.entries

    def batches(self, done: SkippableRows | None = None) -> Iterator[Batch]:
        """The rows, from the first; memory does not grow with them, see `RowIds`.

        Args:
            done: rows of Parquet files that are among these are left out before they are looked at
                in Python. Nothing else changes by that: no id, no order, no other row.

        Raises:
            ManifestError: a file is gone, has changed since `open`, or is damaged.
            StorageError: the temporary folder cannot hold the ids.
        """
        ids = RowIds(done)
        left = self._limit
        for file in self._files:
            folder = file.folder if self._base is None else self._base
            file.check_unchanged()
            for chunk in self._read(file):
                taken = chunk if left is None else chunk[:left]
                yield self._batch(file, taken, folder, ids)
                if left is not None:
                    left -= len(taken)
                    if left == 0:
                        return
            file.check_unchanged()

    def _read(self, file: ManifestFile) -> Iterator[TextChunk | pa.RecordBatch]:
        if file.format == "parquet":
            return parquet_batches(file, self._plan)
        return read_text(file, self._plan)

    def _batch(
        self, file: ManifestFile, chunk: TextChunk | pa.RecordBatch, folder: str, ids: RowIds
    ) -> Batch:
        if isinstance(chunk, list):
            rows = [_Raw(*row) for row in chunk]
            return Batch(list(self._checked(rows, folder, ids)), 0)
        digests = self._digests.of_batch(chunk, folder)
        left_out = self._left_out(chunk, digests, ids)
        if left_out.any():
            chunk, digests = chunk.filter(pa.array(~left_out)), digests[~left_out]
        rows = [
            _Raw(cells, extra, digest or None)
            for (cells, extra), digest in zip(
                raw_rows(file, chunk, self._plan), digests.tolist(), strict=True
            )
        ]
        return Batch(list(self._checked(rows, folder, ids)), int(left_out.sum()))

    def _left_out(
        self, batch: pa.RecordBatch, digests: Digests, ids: RowIds
    ) -> npt.NDArray[np.bool_]:
        """Which rows are done, and of this shard."""
        name = self._plan.inputs.get("id")
        keys = id_keys(batch.column(name)) if name in batch.schema.names else None
        if keys is None:
            return np.zeros(len(batch), bool)
        if self._shard is not None:
            index, num_shards = self._shard
            high, _ = halves_of(keys)
            digests = np.where(high % np.uint64(num_shards) == index, digests, 0)
        return ids.skip(keys, digests)

    def _checked(self, rows: Sequence[_Raw], folder: str, ids: RowIds) -> Iterator[ManifestEntry]:
        identified = [_identify(raw) for raw in rows]
        if self._shard is not None:
            index, num_shards = self._shard
            identified = [
                item for item in identified if shard_of(row_key(item.row_id), num_shards) == index
            ]
        ordinals = ids.claim([item.row_id for item in identified])
        for item, ordinal in zip(identified, ordinals, strict=True):
            row = self._row(item, ordinal, folder, ids)
            yield ManifestEntry(row, item.raw.extra, item.raw.source_digest)

    def _row(
        self, item: _Identified, ordinal: int, folder: str, ids: RowIds
    ) -> ManifestRow | RejectedRow:
        cells, row_id = item.raw.cells, item.row_id
        if ordinal > 1:
            row_id = ids.variant(row_id, "~" if item.given else "-", ordinal)
        if isinstance(cells, UnreadableRow):
            return self._parser.reject_unreadable(cells, row_id)
        if item.error is not None:
            return self._parser.reject_id(cells, row_id, item.error)
        if item.given and ordinal > 1:
            return self._parser.reject_repeat(cells, row_id, item.row_id)
        return self._parser.parse(cells, row_id, folder)


def _survey(file: ManifestFile) -> FileSurvey:
    return survey_parquet(file) if file.format == "parquet" else survey_text(file)


def _identify(raw: _Raw) -> _Identified:
    row = raw.cells
    if isinstance(row, UnreadableRow):
        return _Identified(raw, content_hash(row.line), given=False, error=None)
    given = row.get("id")
    if given is None:
        return _Identified(raw, content_hash(row), given=False, error=None)
    try:
        return _Identified(raw, identifier(given), given=True, error=None)
    except InvalidRequestError as error:
        return _Identified(raw, content_hash(row), given=False, error=error)
