"""Which rows of a run failed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import pyarrow.compute as pc

from pipelines.errors import ComposeError
from pipelines.ledger.ledger import iter_records
from pipelines.storage.storage import Storage


@dataclass(frozen=True, slots=True)
class Failed:
    """The failed rows of one output.

    Attributes:
        ids: of the rows.
        by_code: how many there are, by failure code.
    """

    ids: frozenset[str]
    by_code: Mapping[str, int]


def failed_rows(output: Storage, codes: Collection[str]) -> Failed:
    """Read which rows failed.

    Args:
        output: the run's.
        codes: failure codes that are wanted; empty: all.

    Raises:
        ComposeError: no row failed (with such a code).
        LedgerError, StorageError: the records cannot be read.
    """
    ids: set[str] = set()
    by_code: Counter[str] = Counter()
    for batch in iter_records(output, ("id", "status", "error")):
        failed = batch.filter(pc.equal(batch["status"], "failed"))
        found = zip(
            failed["id"].to_pylist(),
            pc.struct_field(failed["error"], "code").to_pylist(),
            strict=True,
        )
        for row_id, code in found:
            if not codes or code in codes:
                ids.add(row_id)
                by_code[code] += 1
    if not ids:
        which = f" with {' or '.join(sorted(codes))}" if codes else ""
        raise ComposeError(f"{output.uri()}: no row failed{which}, so there is nothing to write")
    return Failed(frozenset(ids), dict(by_code.most_common()))
