"""Counts of the recorded rows, by outcome."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

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
    """

    completed: int
    failed: int
    failed_by_code: Mapping[str, int]
    examples: Mapping[str, FailureExample]


def count_states(
    rows_by_state: Mapping[int, int], codes: StateCodes, examples: Mapping[str, FailureExample]
) -> LedgerCounts:
    """Convert row counts by state to `LedgerCounts`; examples of codes without rows are dropped."""
    by_code: Counter[str] = Counter()
    completed = 0
    for state, rows in rows_by_state.items():
        code = codes.code(state)
        if code is None:
            completed += rows
        elif rows:
            by_code[code] += rows
    return LedgerCounts(
        completed=completed,
        failed=sum(by_code.values()),
        failed_by_code=dict(by_code.most_common()),
        examples={code: examples[code] for code in by_code if code in examples},
    )
