"""Counts of the recorded rows, by outcome."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from pipelines.ledger.left_out import ManifestLook
from pipelines.ledger.row_state import StateCodes


@dataclass(frozen=True, slots=True)
class FailureExample:
    """One failed row, to illustrate a failure code.

    Attributes:
        row_id: id of the row.
        message: message of its failure.
    """

    row_id: str
    message: str


@dataclass(frozen=True, slots=True)
class LedgerCounts:
    """Numbers of recorded rows, one record per id.

    Attributes:
        completed: number of completed rows.
        failed: number of failed rows.
        failed_by_code: number of failed rows by failure code, most frequent first.
        examples: one failed row for each failure code.
        left_out: number of other records: their rows are no longer in the manifest.
        look: the pass over the manifest that they follow from; None: there are none.
    """

    completed: int
    failed: int
    failed_by_code: Mapping[str, int]
    examples: Mapping[str, FailureExample]
    left_out: int = 0
    look: ManifestLook | None = None

    @property
    def records(self) -> int:
        """Number of all records, one per id, including those left out."""
        return self.completed + self.failed + self.left_out


def count_states(
    rows_by_state: Counter[int],
    left_out_by_state: Counter[int],
    codes: StateCodes,
    examples: Mapping[str, FailureExample],
    look: ManifestLook | None,
) -> LedgerCounts:
    """Convert row counts by state to `LedgerCounts`; examples of codes without rows are dropped.

    Args:
        rows_by_state: number of all records, in each state.
        left_out_by_state: number of records among them that do not count.
        codes: meaning of the states.
        examples: one failed row for each failure code.
        look: see `LedgerCounts`.
    """
    left_out = left_out_by_state.total()
    by_code: Counter[str] = Counter()
    completed = 0
    for state, rows in (rows_by_state - left_out_by_state).items():
        code = codes.code(state)
        if code is None:
            completed += rows
        else:
            by_code[code] += rows
    return LedgerCounts(
        completed=completed,
        failed=sum(by_code.values()),
        failed_by_code=dict(by_code.most_common()),
        examples={code: examples[code] for code in by_code if code in examples},
        left_out=left_out,
        look=look if left_out else None,
    )
