"""Reads the records of a run, and of the run to compare with, into the table of a report."""

from __future__ import annotations

import pyarrow as pa

from pipelines.ledger.counts import LedgerCounts
from pipelines.ledger.records import Records
from pipelines.record import COLUMNS_DIGEST, IMAGE_BYTES, LIBRARY_VERSIONS, REFERENCE_VERSIONS
from pipelines.storage.storage import Storage
from pipelines.tools.report.own_columns import (
    FilterColumns,
    OtherColumns,
    number_names,
    score_names,
)
from pipelines.tools.report.plain_columns import TEXT, PlainColumns, errors_json
from pipelines.tools.report.row_table import RowTable
from pipelines.tools.report.sorted_batches import IdOrder
from pipelines.tools.report.summary import Tally

_BATCH_ROWS = 8192
_UNREAD = frozenset(
    (
        *("fingerprint", "source_digest", "schema_version"),
        *(COLUMNS_DIGEST, IMAGE_BYTES, LIBRARY_VERSIONS, REFERENCE_VERSIONS),
    )
)
"""Columns that neither the page nor the summary shows."""
_OTHER_COLUMNS = ("id", "status", "outputs", "sha256", "error")


def load(
    run: Storage, table: RowTable, tally: Tally, *, hashes: bool = True
) -> tuple[FilterColumns, LedgerCounts]:
    """Read the records into `table` and `tally`.

    Args:
        run: the output.
        table: takes the rows.
        tally: takes the records.
        hashes: False leaves the hashes of the images unread; thumbnails and comparisons need them.

    Returns:
        The columns that the page filters, and the counts of the records.
    """
    others, records = OtherColumns(), Records(run)
    scores, numbers = score_names(records.schema), number_names(records.schema)
    plain = PlainColumns(records.schema, scores, numbers)
    unread = _UNREAD if hashes else _UNREAD | {"sha256"}
    table.expect(_order_of(records))
    wanted = [name for name in records.schema.names if name not in unread]
    for batch in records.batches(wanted, batch_rows=_BATCH_ROWS):
        tally.add(batch)
        columns = plain.convert(batch)
        texts = [name for name in columns.schema.names if name.startswith(TEXT)]
        others.add({name.removeprefix(TEXT): columns[name] for name in texts})
        table.add(columns)
    return others.columns(scores, numbers), records.counts()


def load_other(other: Storage, table: RowTable) -> int:
    """Read the records of the run to compare with; returns their number."""
    records = Records(other)
    table.expect_other(_order_of(records))
    for batch in records.batches(_OTHER_COLUMNS):
        columns = {name: batch[name] for name in ("id", "outputs", "sha256")}
        columns["error"] = errors_json(batch["status"], batch["error"])
        table.add_other(pa.RecordBatch.from_pydict(columns))
    return table.other_rows


def _order_of(records: Records) -> IdOrder:
    counts = records.counts()
    ids = (batch["id"] for batch in records.batches(["id"]))
    return IdOrder.of(ids, counts.completed + counts.failed)
