"""The rule that selects the winning record of an id that has several.

The latest `created_at` wins. At the same time, a completed record wins over a failed one; if that
is equal too, the record in the part with the greater name wins, and within a part the later row.
Every reader of records uses this function: opening, counting, iterating, compacting.

Several records of an id are normal: a failed row was retried, a changed row was generated again,
two drivers did not know of each other, or a compaction was killed half-way.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pipelines.keys.index import UInt64


def winning_rows(
    high: UInt64,
    low: UInt64,
    created_at: npt.NDArray[np.int64],
    completed: npt.NDArray[np.bool_],
    position: npt.NDArray[np.int64],
) -> npt.NDArray[np.bool_]:
    """Return True for the winning row of each key, `[n]`.

    Args:
        high: `[n]`, first halves of the rows' keys, sorted.
        low: `[n]`, second halves.
        created_at: `[n]`, in any unit.
        completed: `[n]`.
        position: `[n]`, order of the rows: by the name of their part, then within the part.
    """
    wins = np.ones(len(high), bool)
    same = high[1:] == high[:-1]
    if not same.any():
        return wins
    # Only rows that share the first half of their key can have the same id; usually few do.
    shares = np.zeros(len(high), bool)
    shares[1:] |= same
    shares[:-1] |= same
    rows = np.flatnonzero(shares)
    rows = rows[
        np.lexsort((position[rows], completed[rows], created_at[rows], low[rows], high[rows]))
    ]
    last = np.ones(len(rows), bool)
    last[:-1] = (high[rows[1:]] != high[rows[:-1]]) | (low[rows[1:]] != low[rows[:-1]])
    wins[rows] = last
    return wins


def all_but(rows: int, *others: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Return a mask that is True for all rows but the ones at these positions, `[rows]`.

    Without such positions it takes no memory, and cannot be changed.
    """
    if not any(map(len, others)):
        return np.broadcast_to(np.True_, rows)
    mask = np.ones(rows, bool)
    for positions in others:
        mask[positions] = False
    return mask
