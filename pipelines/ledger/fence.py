"""Fences off the driver that a lease was taken from: its commits fail from then on."""

from __future__ import annotations

import logging
from collections.abc import Iterable

import pyarrow as pa

from pipelines.errors import LedgerError
from pipelines.ledger.part_names import PartName, run_key
from pipelines.ledger.parts import (
    FOLDER,
    Part,
    PartVanishedError,
    encoded,
    list_parts,
    open_part,
)
from pipelines.storage.storage import Storage

logger = logging.getLogger(__name__)

_ATTEMPTS = 5


def fence_off(storage: Storage, run_id: str, schema: pa.Schema) -> None:
    """Let no part of this run land from now on, whatever its process is doing.

    The run creates its parts under names that follow from its id. This creates an empty part, the
    fence, under the next of them. It stays: nobody knows for how long the process is suspended.
    A store without conditional writes has no fences.

    Args:
        storage: the output folder.
        run_id: the run.
        schema: the fence's schema, if there is no part from which to take it.

    Raises:
        LedgerError: the last part of the run is damaged, or vanishes whenever it is listed.
        StorageError: the parts cannot be listed, or the fence cannot be written.
    """
    if not storage.creates:
        return
    for _ in range(_ATTEMPTS):
        try:
            _fence_off(storage, run_id, schema)
        except PartVanishedError:
            continue  # the run compacts at this moment
        return
    raise LedgerError(storage.uri(FOLDER), "parts vanish as soon as they are listed; try again")


def widen_fences(storage: Storage, fences: Iterable[Part], schema: pa.Schema) -> None:
    """Give fences these columns: some readers take the columns of the first file for all.

    Raises:
        StorageError: a fence cannot be written.
    """
    for fence in fences:
        storage.write(fence.path, encoded([], schema))


def _fence_off(storage: Storage, run_id: str, schema: pa.Schema) -> None:
    parts = list_parts(storage)
    last = _last_of(run_id, parts)
    name = PartName.first(run_id, parts)
    if parts:
        file = open_part(storage, last or parts[-1])
        schema = file.schema_arrow
        if last is not None:
            found = PartName.of(last)
            assert found is not None
            if file.metadata.num_rows == 0:
                return  # another driver has fenced it off
            name = found.next
    content = encoded([], schema)
    while not storage.create(name.path, content):
        name = name.next  # the run has just committed
    logger.warning("run_fenced_off run=%s part=%s", run_id, storage.uri(name.path))


def _last_of(run_id: str, parts: list[Part]) -> Part | None:
    key = run_key(run_id)
    named = ((part, PartName.of(part)) for part in parts)
    own = [part for part, name in named if name is not None and name.run == key]
    return own[-1] if own else None
