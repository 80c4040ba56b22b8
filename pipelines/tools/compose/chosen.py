"""Writes rows of a run, chosen by their records, as a manifest of their own."""

from __future__ import annotations

import base64
import json
from collections.abc import Collection, Iterator
from dataclasses import asdict
from itertools import islice
from typing import Any

import pyarrow as pa

from pipelines.arrow_types.cells import column_of
from pipelines.fields.arrow import column
from pipelines.fields.table import REQUEST_FIELDS, STYLE
from pipelines.manifest.manifest import Manifest
from pipelines.manifest.row_identity import derived_seed
from pipelines.manifest.skipping import RecordedIds
from pipelines.manifest.table import PARTIAL_MARK
from pipelines.rows import ManifestEntry, ManifestRow, Reference
from pipelines.tools.compose.pairing import Rows

_BATCH_ROWS = 4096


class ChosenRows:
    """Rows of a run, found again in the manifest that they came from.

    Records show references without their signatures, and bytes as a hash. The rows are therefore
    taken from the manifest, with the defaults filled in, a seed, and the user's own columns.
    Rejected rows are left out, because they have no valid values to write.

    Attributes:
        not_accepted: the number of rejected rows, known once `rows` have been read.
    """

    def __init__(self, ids: Collection[str], *, new_seeds: bool) -> None:
        """Choose the rows.

        Args:
            ids: the ids of the rows.
            new_seeds: True for a new seed for each row, derived from its seed in the run and its
                id; False for the seed of the run, which generates the same image.
        """
        self._ids = ids
        self._new_seeds = new_seeds
        self.not_accepted = 0

    def rows(self, manifest: Manifest) -> Rows:
        """Return the rows, in the manifest's order; `count` is an upper bound.

        Raises:
            ManifestError: (while they are read) the manifest has changed or is damaged.
        """
        extra = manifest.extra_schema
        inputs = [*_INPUTS, column(STYLE)] if manifest.has_style_library else _INPUTS
        fields = [*inputs, *(field for field in extra if field.name not in _NAMES)]
        # In the run's own output, the records of the other rows still count.
        schema = pa.schema(fields, metadata=PARTIAL_MARK)
        return Rows(len(self._ids), schema, self._batches(manifest, schema))

    def _batches(self, manifest: Manifest, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        batches = manifest.batches(RecordedIds(self._ids))
        found = (it for batch in batches for it in batch.entries if it.row.id in self._ids)
        while entries := list(islice(found, _BATCH_ROWS)):
            rows = [
                self._row(entry, entry.row)
                for entry in entries
                if isinstance(entry.row, ManifestRow)
            ]
            self.not_accepted += len(entries) - len(rows)
            columns = [column_of([row.get(f.name) for row in rows], f.type) for f in schema]
            yield from pa.Table.from_arrays(columns, schema=schema).combine_chunks().to_batches()

    def _row(self, entry: ManifestEntry, row: ManifestRow) -> dict[str, Any]:
        cells = _cells(entry, row)
        if self._new_seeds:
            used = row.parameters
            cells["seed"] = derived_seed(used.seed, row.id, used.num_images)
        return cells


_INPUTS = (pa.field("id", pa.string()), *map(column, REQUEST_FIELDS))
_NAMES = frozenset(field.name for field in _INPUTS)


def _cells(entry: ManifestEntry, row: ManifestRow) -> dict[str, Any]:
    return {
        **entry.extra,
        "id": row.id,
        "prompt": row.prompt,
        "content_image": None if row.content_image is None else _text(row.content_image),
        "style_images": [_text(style) for style in row.style_images],
        "style_weights": row.style_weights,
        **_library_styles(row),
        **asdict(row.parameters),
    }


def _library_styles(row: ManifestRow) -> dict[str, str]:
    """Return the cell with the styles of the library; a run without one has a column of its own."""
    if not row.library_styles:
        return {}
    listed = [{"style": style.name, "weight": style.weight} for style in row.library_styles]
    return {STYLE.name: json.dumps(listed)}


def _text(reference: Reference) -> str:
    """Return a reference as text; bytes become a `data:` URI."""
    if isinstance(reference, str):
        return reference
    return f"data:;base64,{base64.b64encode(reference).decode()}"
