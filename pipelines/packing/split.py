"""Groups records by shard, on the local disk."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds

from pipelines.packing.loader_types import loader_schema, to_loader_types
from pipelines.packing.packable import PackableRecords
from pipelines.packing.plan import ShardPlan

_SHARD = "__shard__"
_ROWS_PER_BATCH = 64  # per shard, until they are written to the disk: bounds the memory


@contextmanager
def completed_by_shard(
    records: PackableRecords, plan: ShardPlan, wanted: Collection[int]
) -> Iterator[Iterator[tuple[int, pa.Table]]]:
    """Yield the number and the records to pack of each wanted shard, in ascending order.

    Each column of these has its `loader_type`.

    Raises:
        LedgerError, StorageError: the records cannot be read.
    """
    stored = loader_schema(records.schema)
    schema = stored.append(pa.field(_SHARD, pa.int64()))
    batches = _marked(records, plan, np.array(sorted(wanted)), schema)
    with tempfile.TemporaryDirectory(prefix="uso-split-") as folder:
        ds.write_dataset(
            pa.RecordBatchReader.from_batches(schema, batches),
            folder,
            format="feather",
            partitioning=ds.partitioning(pa.schema([schema.field(_SHARD)])),
            max_partitions=len(plan) + 1,
            min_rows_per_group=_ROWS_PER_BATCH,
            max_rows_per_group=8 * _ROWS_PER_BATCH,
        )
        yield ((shard, _table(Path(folder) / str(shard), stored)) for shard in sorted(wanted))


def _marked(
    records: PackableRecords,
    plan: ShardPlan,
    wanted: np.ndarray[tuple[int], np.dtype[np.int64]],
    schema: pa.Schema,
) -> Iterator[pa.RecordBatch]:
    for batch in records.batches():
        # Before the rows are selected, because Arrow cannot select from all types.
        rows = records.of(to_loader_types(batch))
        shards = plan.shard_of(rows["id"])
        columns = [*rows.columns, pa.array(shards)]
        marked = pa.RecordBatch.from_arrays(columns, schema=schema)
        yield marked.filter(pa.array(np.isin(shards, wanted)))


def _table(folder: Path, schema: pa.Schema) -> pa.Table:
    return ds.dataset(folder, schema=schema, format="feather").to_table()
