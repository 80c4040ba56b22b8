"""Finds the failed rows of a run."""

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
        ids: the ids of the rows.
        by_code: the number of rows, by failure code.
    """

    ids: frozenset[str]
    by_code: Mapping[str, int]


def failed_rows(output: Storage, codes: Collection[str]) -> Failed:
    """Read the records of an output for its failed rows.

    Args:
        output: the output of the run.
        codes: the failure codes to select; empty for all.

    Raises:
        ComposeError: no row failed with one of the codes.
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
