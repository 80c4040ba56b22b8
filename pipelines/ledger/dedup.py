"""The rule that says which record counts where an id has several.

The later `created_at` wins; of two at the same time the completed one wins over the failed one; of
two that are alike in that, the one in the part with the greater name (and, in a part, the later
row). Every reader of records goes by this function: opening, counting, iterating, compacting.

Several records for an id are normal: a failed row that was tried again, a changed row that was
drawn again, two drivers that did not know of each other, a compaction that was killed half-way.
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
    """True for one row of each key.

    Args:
        high: `[n]`, the first halves of the rows' keys, sorted.
        low: `[n]`, the second halves.
        created_at: `[n]`, in any unit.
        completed: `[n]`.
        position: `[n]`, where the row is: by the names of the parts, then in its part.

    Returns:
        `[n]`.
    """
    counts = np.ones(len(high), bool)
    same = high[1:] == high[:-1]
    if not same.any():
        return counts
    # Only rows that share the first half of their key can be of one id: few, as a rule.
    shares = np.zeros(len(high), bool)
    shares[1:] |= same
    shares[:-1] |= same
    rows = np.flatnonzero(shares)
    rows = rows[
        np.lexsort((position[rows], completed[rows], created_at[rows], low[rows], high[rows]))
    ]
    last = np.ones(len(rows), bool)
    last[:-1] = (high[rows[1:]] != high[rows[:-1]]) | (low[rows[1:]] != low[rows[:-1]])
    counts[rows] = last
    return counts
