"""Compaction: rewrites the parts into fewer, larger ones with one record per id.

Parts with superseded records are rewritten, and small parts are merged. A part is deleted only
after its replacement has been written and read back. So an interrupted compaction leaves only
duplicates, which `pipelines.ledger.dedup` resolves, and the next compaction resumes. Memory is
bounded by the size of one part.

Two drivers that compact at once lose nothing, however long one of them halts between its steps. A
record is removed only if one that wins over it was seen in another part, and a part is written only
under a name that sorts after all that it replaces. So "wins over" never turns round, and the record
that wins over all others is never removed.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.errors import LedgerError
from pipelines.ledger.look import Look
from pipelines.ledger.part_writer import PartWriter
from pipelines.ledger.parts import (
    Part,
    conformed,
    kept_batches,
    open_part,
    unified_schema,
)
from pipelines.storage.storage import Storage

logger = logging.getLogger(__name__)

MAX_ROWS = 100_000
MAX_BYTES = 64 * 2**20
_BATCH_ROWS = 8192


@dataclass(frozen=True, slots=True)
class _OldPart:
    """A part to replace.

    Attributes:
        keep: `[n]`, True for the rows that move to the new part.
    """

    part: Part
    keep: npt.NDArray[np.bool_]

    @property
    def rows(self) -> int:
        return int(self.keep.sum())


def is_small(part: Part, num_rows: int) -> bool:
    """Return True if compaction would merge the part with others."""
    return num_rows <= MAX_ROWS // 2 and part.num_bytes <= MAX_BYTES // 2


def compact_parts(storage: Storage, look: Look, writer: PartWriter) -> list[tuple[Part, int]]:
    """Rewrite the parts that are small or hold records that do not count.

    Args:
        storage: the output folder.
        look: the parts, and the records that stay.
        writer: writes the new parts.

    Returns:
        The parts that hold the records now, and the number of rows in each.

    Raises:
        LeaseLostError: another driver has taken over.
        LedgerError: a part is damaged.
        PartVanishedError: another process is compacting; nothing is lost, so scan again.
        StorageError: a part cannot be written or deleted.
    """
    writer.check_alone(look.parts)
    schema = unified_schema(storage, look.origins)
    untouched: list[tuple[Part, int]] = []
    old_parts: list[_OldPart] = []
    for part, keep in look.by_part():
        is_fence = len(keep) == 0  # see `pipelines.ledger.fence`
        if is_fence or (keep.all() and not is_small(part, len(keep))):
            untouched.append((part, len(keep)))
        else:
            old_parts.append(_OldPart(part, keep))
    written = [_replace(storage, group, schema, writer) for group in _groups(old_parts)]
    return [*untouched, *(part for part in written if part is not None)]


def _groups(old_parts: Sequence[_OldPart]) -> Iterator[list[_OldPart]]:
    """Group the parts that become one part each, if possible within `MAX_ROWS` and `MAX_BYTES`."""
    group: list[_OldPart] = []
    rows = num_bytes = 0
    for old in old_parts:
        rows += old.rows
        num_bytes += old.part.num_bytes
        if group and (rows > MAX_ROWS or num_bytes > MAX_BYTES):
            yield group
            group, rows, num_bytes = [], old.rows, old.part.num_bytes
        group.append(old)
    if group:
        yield group


def _replace(
    storage: Storage, group: Sequence[_OldPart], schema: pa.Schema, writer: PartWriter
) -> tuple[Part, int] | None:
    """Write what the group keeps as one part, and delete the parts of the group."""
    rows = sum(old.rows for old in group)
    new = _stays(group)
    if new is None and rows:
        new = writer.write(_kept_batches(storage, group, schema), schema)
        _read_back(storage, new, rows)
    # The fence of this run is put after its last part, which must therefore stay until the next.
    stay = {writer.last_path if new is None else new.path}
    for old in group:
        if old.part.path not in stay:
            storage.delete(old.part.path)
            writer.forget(old.part.path)
    logger.info("parts_compacted before=%d rows=%d", len(group), rows)
    return None if new is None else (new, rows)


def _stays(group: Sequence[_OldPart]) -> Part | None:
    """Return the part of the group that holds all its rows and no other, if there is one."""
    with_rows = [old for old in group if old.rows]
    if len(with_rows) == 1 and with_rows[0].keep.all():
        return with_rows[0].part
    return None


def _kept_batches(
    storage: Storage, group: Sequence[_OldPart], schema: pa.Schema
) -> Iterator[pa.RecordBatch]:
    for old in group:
        for batch in kept_batches(storage, old.part, old.keep, None, _BATCH_ROWS):
            yield conformed(batch, schema)


def _read_back(storage: Storage, part: Part, rows: int) -> None:
    stored = open_part(storage, part).metadata.num_rows
    if stored != rows:
        reason = f"{rows} records were written and {stored} are there; the old parts are kept"
        raise LedgerError(storage.uri(part.path), reason)
