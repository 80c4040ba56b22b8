"""Counts the records of an output without sorting them, where each id has one record.

`pipelines.ledger.scan` stays the truth: it counts where an id may have several records, or where
some records do not count.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from pipelines.keys.distinct import RepeatedHashes
from pipelines.keys.index import halves_of, row_keys
from pipelines.keys.quick import quick_hashes
from pipelines.ledger.counts import FailureExample, LedgerCounts, count_states
from pipelines.ledger.examples import read_example
from pipelines.ledger.left_out import read_left_out
from pipelines.ledger.part_columns import PartColumns, read_ahead
from pipelines.ledger.parts import Part, list_parts, unless_vanished
from pipelines.ledger.row_state import StateCodes, is_completed
from pipelines.ledger.scan import scan_ledger
from pipelines.storage.storage import Storage

_COLUMNS = ("id", "status", "error.code", "error.retryable")


class Counted(NamedTuple):
    """Counts of an output.

    Attributes:
        counts: the numbers of records, by outcome.
        columns: the names of the columns of all parts.
    """

    counts: LedgerCounts
    columns: frozenset[str]


def count_ledger(storage: Storage) -> Counted:
    """Count the recorded rows, one record per id.

    Raises:
        LedgerError: a part is damaged, or `records/` holds a foreign file.
        StorageError: the records cannot be read.
    """
    found = unless_vanished(storage, lambda: _counted(storage))
    if found is not None:
        return found
    scan = scan_ledger(storage)
    return Counted(scan.counts(), frozenset(n for _, one in scan.origins for n in one.names))


def _counted(storage: Storage) -> Counted | None:
    """Count the records; None if only a scan tells which of them count."""
    if len(read_left_out(storage)):
        return None
    counter = _Counter()
    parts = list_parts(storage)
    for part, read in zip(parts, read_ahead(storage, parts, _COLUMNS), strict=True):
        counter.add(part, read)
    if len(counter.hashes.repeated()):
        return None
    rows = Counter(dict(enumerate(counter.rows_by_state.tolist())))
    examples: dict[str, FailureExample] = {}
    for state, (_, part, row) in sorted(counter.first.items()):
        code = counter.codes.code(state)
        if code is not None and code not in examples:
            examples[code] = read_example(storage, part, row)
    counts = count_states(+rows, Counter(), counter.codes, examples, None)
    return Counted(counts, frozenset(counter.columns))


@dataclass(slots=True)
class _Counter:
    """The records so far."""

    codes: StateCodes = field(default_factory=StateCodes)
    hashes: RepeatedHashes = field(default_factory=RepeatedHashes)
    rows_by_state: np.ndarray[tuple[int], np.dtype[np.int64]] = field(
        default_factory=lambda: np.zeros(256, np.int64)
    )
    columns: set[str] = field(default_factory=set)
    first: dict[int, tuple[int, Part, int]] = field(default_factory=dict)

    def add(self, part: Part, read: PartColumns) -> None:
        """Add the records of a part."""
        columns = read.columns
        self.columns.update(read.schema.names)
        self.hashes.add(quick_hashes(columns["id"]))
        states = self.codes.encode(columns["status"], columns["error"])
        self.rows_by_state += np.bincount(states, minlength=256)
        failed = np.flatnonzero(~is_completed(states))
        if not len(failed):
            return
        ids = columns["id"].take(pa.array(failed)).cast(pa.binary()).to_pylist()
        keys = halves_of(row_keys(ids))[0]  # the scan, too, shows the row with the least key
        for state in np.unique(states[failed]).tolist():
            rows = np.flatnonzero(states[failed] == state)
            at = rows[np.argmin(keys[rows])]
            found = (int(keys[at]), part, int(failed[at]) - len(columns))
            if state not in self.first or found[0] < self.first[state][0]:
                self.first[state] = found
