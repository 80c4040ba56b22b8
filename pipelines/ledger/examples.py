"""Finds one failed row for each failure code."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from pipelines.ledger.counts import FailureExample
from pipelines.ledger.done_groups import DoneGroups
from pipelines.ledger.part_columns import read_ahead
from pipelines.ledger.parts import Part, open_part, readable
from pipelines.ledger.row_state import StateCodes
from pipelines.record import EDITION_DIGEST, EDITION_ROW
from pipelines.storage.storage import Storage

_COLUMNS = ("id", EDITION_DIGEST, EDITION_ROW, "status", "error.code", "error.retryable")


def first_of_each(
    states: npt.NDArray[np.uint8],
    left_out: npt.NDArray[np.bool_],
    order: npt.NDArray[np.int64],
) -> dict[int, int]:
    """Return the position of one counting row of each state.

    Args:
        states: `[n]`, states of rows.
        left_out: `[n]`, True for a row that does not count.
        order: `[n]`, positions of the rows.
    """
    shown = np.where(left_out, 0, states) if left_out.any() else states  # no state is 0
    found = np.unique(shown).tolist()
    return {state: int(order[np.argmax(shown == state)]) for state in found if state}


def examples_of(
    storage: Storage,
    parts: Sequence[Part],
    num_rows: Sequence[int],
    codes: StateCodes,
    first_rows: Mapping[int, int],
) -> dict[str, FailureExample]:
    """Read one row of each failure code; only messages are read again.

    Args:
        storage: the output folder.
        parts: the parts.
        num_rows: the number of rows of each part.
        codes: meaning of the states.
        first_rows: the position of a row of each state, over all parts in order.
    """
    examples: dict[str, FailureExample] = {}
    ends = np.cumsum(num_rows, dtype=np.int64)
    for state, row in first_rows.items():
        code = codes.code(state)
        if code is not None and code not in examples:
            at = int(np.searchsorted(ends, row, side="right"))
            examples[code] = read_example(storage, parts[at], row - int(ends[at]))
    return examples


def closed_examples(done: DoneGroups, states: Iterable[int]) -> dict[str, FailureExample]:
    """Read one closed record of each failure code; `states` are the states of closed records."""
    examples: dict[str, FailureExample] = {}
    for state in states:
        code = done.codes.code(state)
        if code is not None and code not in examples:
            examples[code] = _closed_example(done, state)
    return examples


def _closed_example(done: DoneGroups, state: int) -> FailureExample:
    parts = [seen.part for seen in done.parts if seen.rows_by_state[state]]
    for part in parts:
        (read,) = read_ahead(done.storage, [part], _COLUMNS)
        states = done.codes.encode(read.columns["status"], read.columns["error"])
        rows = np.flatnonzero(done.is_closed(read.columns) & (states == state))
        if len(rows):
            return read_example(done.storage, part, int(rows[0]) - len(states))
    raise AssertionError(f"no closed record has the state {state}")


def read_example(storage: Storage, part: Part, row: int) -> FailureExample:
    """Read the failure in a row of a part, counted from its end (-1 is the last)."""
    file = open_part(storage, part)
    with readable(storage, part):
        table = file.read(columns=["id", "error.message"], use_threads=False)
    record = table.slice(table.num_rows + row, 1).to_pylist()[0]
    return FailureExample(record["id"], (record["error"] or {}).get("message") or "")
