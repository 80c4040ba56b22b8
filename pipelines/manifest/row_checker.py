"""Rows with ids as entries of the manifest: each is accepted, or rejected with a reason."""

from __future__ import annotations

from pipelines.keys.index import row_key
from pipelines.manifest.chosen_ids import ChosenIds
from pipelines.manifest.identified import IdentifiedRow
from pipelines.manifest.row_additions import RowAdditions
from pipelines.manifest.row_identity import shard_of
from pipelines.manifest.row_ids import RowIds
from pipelines.manifest.row_parser import OversizedRow, RowParser, UnreadableRow
from pipelines.rows import Entry, ManifestEntry, ManifestRow, RejectedRow


class RowChecker:
    """Makes ids unique, parses rows, and leaves out those of other shards or with other ids."""

    def __init__(
        self,
        parser: RowParser,
        additions: RowAdditions,
        shard: tuple[int, int] | None,
        chosen: ChosenIds | None,
    ) -> None:
        """Check rows for one run.

        Args:
            parser: parses the cells of a row.
            additions: adds facts from the user's own columns.
            shard: the index of the shard and the number of shards; None: rows of all shards count.
            chosen: the ids that count; None: all.
        """
        self._parser = parser
        self._additions = additions
        self._shard = shard
        self._chosen = chosen

    def entries(self, rows: list[IdentifiedRow], folder: str, ids: RowIds) -> list[ManifestEntry]:
        """Return the entries of some rows, in order; the run may leave some out.

        Args:
            rows: the rows, with their ids.
            folder: the folder or URL of their relative references.
            ids: the ids so far; those of these rows are added.

        Raises:
            StorageError: the temporary folder cannot hold the ids.
        """
        if self._shard is not None:
            index, num_shards = self._shard
            rows = [row for row in rows if shard_of(row_key(row.row_id), num_shards) == index]
        entries: list[ManifestEntry] = []
        ordinals = ids.claim([row.row_id for row in rows])
        for row, ordinal in zip(rows, ordinals, strict=True):
            row_id = self._unique_id(row, ordinal, ids)
            if self._chosen is not None and row_id not in self._chosen.ids:
                continue
            checked = self._row(row, row_id, ordinal, folder)
            checked = self._additions.added(checked, row.extra)
            source, place = row.source_digest, row.place
            if isinstance(checked, RejectedRow) and checked.inputs_fingerprint is not None:
                source = place = None  # neither covers the settings that reject such a row
            entries.append(Entry(checked, row.extra, source, row.columns_digest, place))
        return entries

    @staticmethod
    def _unique_id(row: IdentifiedRow, ordinal: int, ids: RowIds) -> str:
        if ordinal == 1:
            return row.row_id
        return ids.variant(row.row_id, "~" if row.given else "-", ordinal)

    def _row(
        self, row: IdentifiedRow, row_id: str, ordinal: int, folder: str
    ) -> ManifestRow | RejectedRow:
        if isinstance(row.cells, UnreadableRow):
            return self._parser.reject_unreadable(row.cells, row_id)
        if isinstance(row.cells, OversizedRow):
            return self._parser.reject_oversized(row.cells, row_id)
        if row.error is not None:
            return self._parser.reject_id(row.cells, row_id, row.error)
        if row.given and ordinal > 1:
            return self._parser.reject_repeat(row.cells, row_id, row.row_id)
        return self._parser.parse(row.cells, row_id, folder)
