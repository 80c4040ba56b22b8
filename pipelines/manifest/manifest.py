"""The manifest: tables of any size as rows that are checked and streamed, a batch at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.config.schema import RunConfig
from pipelines.config.variables import resolve_secrets
from pipelines.editions import Edition, Place
from pipelines.errors import ManifestError
from pipelines.keys.index import halves_of
from pipelines.manifest.chosen_ids import ChosenIds, read_ids
from pipelines.manifest.columns import ColumnPlan, plan_columns
from pipelines.manifest.edition_digests import find_editions
from pipelines.manifest.files import open_tables
from pipelines.manifest.identified import identified_rows, places_of, with_recorded_ids
from pipelines.manifest.ordinary import OrdinaryRowFinder
from pipelines.manifest.ordinary_split import OrdinarySplit
from pipelines.manifest.passes import (
    SURVEY_ROWS,
    GivenIds,
    SurveyedBatch,
    given_ids,
    has_rows,
    named,
    no_rows,
    num_rows,
    taken_rows,
)
from pipelines.manifest.reference_columns import Flags
from pipelines.manifest.references import folder_url
from pipelines.manifest.row_additions import RowAdditions
from pipelines.manifest.row_checker import RowChecker
from pipelines.manifest.row_ids import RowIds
from pipelines.manifest.row_parser import RowParser
from pipelines.manifest.row_styles import RowStyles
from pipelines.manifest.skipping import SkippableRows
from pipelines.manifest.source import READING
from pipelines.manifest.source_digest import Digests, SourceDigests, id_keys
from pipelines.manifest.table import RowBatch, Table, is_partial
from pipelines.rows import ManifestEntry
from pipelines.storage.reading import Reading
from uso_core.loading.source import ModelCard

__all__ = ["Batch", "Manifest", "ManifestError"]


class Batch(NamedTuple):
    """Some rows of the manifest, in order.

    Attributes:
        entries: the rows to look at.
        num_skipped: the number of other rows, which are done.
    """

    entries: list[ManifestEntry]
    num_skipped: int


class Manifest:
    """The rows of one run.

    Rows come in the order of the files and of the rows in them. Every row becomes one entry; a bad
    one becomes a `RejectedRow`. The second row with an id is rejected under the id `ID~2`, the
    third under `ID~3`; equal rows without an id get `HASH`, `HASH-2`, …
    """

    def __init__(
        self,
        config: RunConfig,
        tables: Sequence[Table],
        model: ModelCard,
        begun: date | None = None,
        chosen: ChosenIds | None = None,
        styles: RowStyles | None = None,
    ) -> None:
        self._tables = tables
        self._plan: ColumnPlan = plan_columns(config, tables)
        parser = RowParser(config, model, self._plan.inputs, styles)
        self._digests = SourceDigests(config, model, self._plan.inputs, styles)
        self._editions = find_editions(tables, config.manifest, self._plan, self._digests)
        self._finder = OrdinaryRowFinder(config, model, self._plan)
        self._has_styles = styles is not None
        self._limit = config.manifest.limit
        self._shard = config.manifest.shard_index
        self._chosen = chosen
        partial = config.manifest.partial or any(map(is_partial, tables))
        self._is_whole = config.manifest.is_whole and not partial
        self._additions = RowAdditions(config, self._plan, begun)
        self._checker = RowChecker(parser, self._additions, self._shard, chosen)
        base = config.manifest.base_uri
        self._base = None if base is None else folder_url(base)

    @classmethod
    def open(
        cls,
        config: RunConfig,
        model: ModelCard,
        finding: Reading = READING,
        begun: date | None = None,
    ) -> Manifest:
        """Find the files and look at their columns; see `open_tables`.

        Args:
            config: the configuration of the run.
            model: the model; its limits decide which rows are accepted.
            finding: the handling of faults until the files are found.
            begun: the day on which the output was begun, for `output.name`; None: today.

        Raises:
            ConfigError: `output.name` has a field that the rows do not have, or
                `output.provenance.training_mining_column` is not a column.
            ManifestError: nothing is there, a file is unreadable, no column is usable, the mapping
                names a column that is not there, a default is not accepted by the model, there are
                no rows, or no row has one of the ids in `manifest.ids`. Rows of other shards count:
                a shard may be empty.
        """
        try:
            options = resolve_secrets(config.storage)
        except ValueError as error:
            raise ManifestError("storage", str(error)) from error
        tables = open_tables(config.manifest, options, finding)
        listed = config.manifest.ids
        chosen = None if listed is None else read_ids(listed, options, finding)
        styles = RowStyles.of(config, model, options)
        manifest = cls(config, tables, model, begun, chosen, styles)
        if not any(has_rows(table, manifest._plan) for table in tables):
            raise no_rows(tables, config.manifest.paths)
        if chosen is not None:
            section = config.manifest.model_copy(update={"shard": None})
            of_all = config.model_copy(update={"manifest": section})
            cls(of_all, tables, model, begun, chosen, styles).check_chosen(chosen)
        return manifest

    @property
    def total_rows(self) -> int | None:
        """The number of entries; None if only reading them would tell."""
        if self._shard is not None:
            return None
        if self._chosen is not None:
            return len(self._chosen.ids)
        return num_rows(self._tables, self._limit)

    @property
    def is_whole(self) -> bool:
        """True if a row that is not among the entries is in no part of the manifest."""
        return self._is_whole

    @property
    def has_style_library(self) -> bool:
        """True if rows may name styles of a library."""
        return self._has_styles

    @property
    def editions(self) -> list[Edition]:
        """The editions of files whose rows may be left unread; none if ids choose the rows."""
        if self._shard is not None or self._chosen is not None:
            return []
        return [edition for edition in self._editions if edition is not None]

    @property
    def extra_schema(self) -> pa.Schema:
        """The user's own columns, as they go to the record."""
        return self._plan.extra_schema

    def check_chosen(self, chosen: ChosenIds) -> None:
        """Read all rows, and raise `ManifestError` if none has one of the chosen ids."""
        known = {entry.row.id for entry in self.entries()}
        chosen.check_known(known, named(self._tables, self._limit))

    def entries(self) -> Iterator[ManifestEntry]:
        """Yield all rows, one by one; see `batches`."""
        for batch in self.batches():
            yield from batch.entries

    def batches(self, done: SkippableRows | None = None) -> Iterator[Batch]:
        """Yield the rows, from the first; memory does not grow with them, see `RowIds`.

        Args:
            done: rows that may be skipped. Those among them whose table has columns are skipped
                before Python looks at them, and whole row groups of them are left unread. This
                changes no id, no order and no other row.

        Raises:
            ManifestError: a file is gone, has changed since `open`, or is damaged.
            StorageError: the temporary folder cannot hold the ids.
        """
        ids = RowIds(done)
        unread = self._unread(done)
        for taken in taken_rows(self._tables, self._plan, self._limit, unread=unread):
            if taken.batch is None:
                yield Batch([], taken.num_rows)
                continue
            edition = self._editions[taken.number]
            first = None if edition is None else Place(edition.digest, taken.first)
            yield self._batch(taken.batch, taken.table, ids, first)

    def survey(self, done: SkippableRows | None = None) -> Iterator[SurveyedBatch]:
        """Yield the same rows as `batches`, for a pass that only counts the valid ones.

        Ordinary rows stay in columns, and have no id and no fingerprint. All other rows, and all
        rows on record, are entries, as in `batches`. An id that repeats is found in a
        first pass over the ids.

        Args:
            done: see `batches`; None also says that no row is on record.

        Raises:
            ManifestError, StorageError: see `batches`.
        """
        unread = self._unread(done)
        ids, given = RowIds(done), self._given_ids(done, unread)
        ordinary = OrdinarySplit(self._plan, self._finder, given, done)
        most_rows = None if given is None else SURVEY_ROWS
        for taken in taken_rows(self._tables, self._plan, self._limit, most_rows, unread):
            if taken.batch is None:
                yield SurveyedBatch([], taken.num_rows, None)
                continue
            odd, rows = ordinary.split(taken.batch, self._folder(taken.table))
            found = self._batch(odd, taken.table, ids) if len(odd) else Batch([], 0)
            yield SurveyedBatch(found.entries, found.num_skipped, rows)

    def _unread(self, done: SkippableRows | None) -> list[Flags | None] | None:
        """Return for each table which of its groups are left unread; None: all are read."""
        if done is None or not self.editions:
            return None
        return [None if edition is None else done.unread(edition) for edition in self._editions]

    def _given_ids(
        self, done: SkippableRows | None, unread: list[Flags | None] | None
    ) -> GivenIds | None:
        """Read the ids; None if no row is taken out of the batches as an ordinary one."""
        # Rows with marks of their own are told apart from others with the same reference.
        if self._shard is not None or self._chosen is not None or self._additions.has_rights:
            return None
        if "id" in self._plan.inputs:
            return given_ids(self._tables, self._plan.inputs["id"], self._limit, unread)
        return GivenIds(np.empty(0, np.uint64)) if done is None else None

    def _folder(self, table: Table) -> str:
        return table.file.folder if self._base is None else self._base

    def _batch(
        self, batch: RowBatch, table: Table, ids: RowIds, first: Place | None = None
    ) -> Batch:
        """Return the rows of a batch; only those with a place can be left unread later.

        Args:
            batch: some rows.
            table: their table.
            ids: the ids so far.
            first: the place of the first row; None: it has none.
        """
        folder = self._folder(table)
        if batch.columns is None:
            rows = batch.rows()
            own = self._plan.own_digests_of_cells([extra for _, extra in rows])
            found = identified_rows(rows, own, by_value=not table.typed)
            return Batch(self._checker.entries(with_recorded_ids(found, ids), folder, ids), 0)
        digests = self._digests.of_batch(batch.columns, folder)
        digests[list(batch.large)] = 0
        own_digests = self._plan.own_digests(batch.columns)
        skipped = self._skipped(batch.columns, digests, own_digests, ids)
        left = np.flatnonzero(~skipped)
        found = identified_rows(
            (batch if len(left) == len(batch) else batch.where(~skipped)).rows(),
            own_digests[left].tolist(),
            digests[left].tolist(),
            places_of(left, first),
            by_value=True,
        )
        rows_with_ids = with_recorded_ids(found, ids)
        entries = self._checker.entries(rows_with_ids, folder, ids)
        return Batch(entries, len(batch) - len(left))

    def _skipped(
        self, columns: pa.RecordBatch, digests: Digests, own: Digests, ids: RowIds
    ) -> npt.NDArray[np.bool_]:
        """Return for each row whether it is done, chosen and of this shard, `[n]`."""
        name = self._plan.inputs.get("id")
        keys = id_keys(columns.column(name)) if name in columns.schema.names else None
        if keys is None:
            return np.zeros(len(columns), bool)
        high, low = halves_of(keys)
        if self._shard is not None:
            index, num_shards = self._shard
            digests = np.where(high % np.uint64(num_shards) == index, digests, 0)
        if self._chosen is not None:
            digests = np.where(self._chosen.has(high, low), digests, 0)
        return ids.skip(keys, digests, own)
