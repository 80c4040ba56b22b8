"""The rows of a run that failed, as a manifest of their own."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict
from itertools import islice
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.compose.error import ComposeError
from pipelines.compose.pairing import Rows
from pipelines.ledger.ledger import iter_records
from pipelines.manifest.manifest import Manifest
from pipelines.rows import ManifestEntry, ManifestRow, Reference
from pipelines.storage.storage import Storage

_BATCH_ROWS = 4096


class FailedRows:
    """The failed rows of one output, found again in the manifest that they came from.

    Records show references without their signatures and bytes as a hash, so the rows are taken from
    the manifest: with the defaults filled in, the seed that was used, and the user's own columns.
    A row that is not accepted can't be written as one that is; it is left out.

    Attributes:
        by_code: failed rows in the records, by failure code.
        not_accepted: rows left out, known when `rows` have been read.
    """

    def __init__(self, output: Storage, codes: Collection[str]) -> None:
        """Read which rows failed.

        Args:
            output: the run's.
            codes: failure codes that are wanted; empty: all.

        Raises:
            ComposeError: no row failed (with such a code).
            LedgerError, StorageError: the records cannot be read.
        """
        self._ids: set[str] = set()
        self.by_code: Counter[str] = Counter()
        self.not_accepted = 0
        for batch in iter_records(output, ("id", "status", "error")):
            failed = batch.filter(pc.equal(batch["status"], "failed"))
            found = zip(
                failed["id"].to_pylist(),
                pc.struct_field(failed["error"], "code").to_pylist(),
                strict=True,
            )
            for row_id, code in found:
                if not codes or code in codes:
                    self._ids.add(row_id)
                    self.by_code[code] += 1
        if not self._ids:
            which = f" with {' or '.join(sorted(codes))}" if codes else ""
            raise ComposeError(
                f"{output.uri()}: no row failed{which}, so there is nothing to write"
            )

    def rows(self, manifest: Manifest) -> Rows:
        """The rows, in the manifest's order; `count` is an upper bound.

        Raises:
            ManifestError: (while they are read) the manifest has changed or is damaged.
        """
        extra = manifest.extra_schema
        schema = pa.schema([*_INPUTS, *(field for field in extra if field.name not in _NAMES)])
        return Rows(len(self._ids), schema, self._batches(manifest, schema))

    def _batches(self, manifest: Manifest, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        found = (entry for entry in manifest.entries() if entry.row.id in self._ids)
        while entries := list(islice(found, _BATCH_ROWS)):
            rows = [
                _cells(entry, entry.row) for entry in entries if isinstance(entry.row, ManifestRow)
            ]
            self.not_accepted += len(entries) - len(rows)
            yield pa.RecordBatch.from_pylist(rows, schema=schema)


_INPUTS = (
    pa.field("id", pa.string()),
    pa.field("prompt", pa.string()),
    pa.field("content_image", pa.string()),
    pa.field("style_images", pa.list_(pa.string())),
    pa.field("width", pa.int32()),
    pa.field("height", pa.int32()),
    pa.field("num_steps", pa.int32()),
    pa.field("guidance", pa.float64()),
    pa.field("seed", pa.int64()),
    pa.field("keep_size", pa.bool_()),
    pa.field("content_long_size", pa.int32()),
    pa.field("num_images", pa.int32()),
)
_NAMES = frozenset(field.name for field in _INPUTS)


def _cells(entry: ManifestEntry, row: ManifestRow) -> Mapping[str, Any]:
    return {
        **entry.extra,
        "id": row.id,
        "prompt": row.prompt,
        "content_image": None if row.content_image is None else _text(row.content_image),
        "style_images": [_text(style) for style in row.style_images],
        **asdict(row.parameters),
    }


def _text(reference: Reference) -> str:
    """A reference as text: bytes as a `data:` URI."""
    if isinstance(reference, str):
        return reference
    return f"data:;base64,{base64.b64encode(reference).decode()}"
