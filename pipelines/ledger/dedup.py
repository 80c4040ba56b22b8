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

from pipelines.ledger.key_index import Halves


def rows_that_count(
    halves: Halves, created_at: npt.NDArray[np.int64], completed: npt.NDArray[np.bool_]
) -> npt.NDArray[np.bool_]:
    """True for one row of each key.

    Args:
        halves: the rows' keys; rows are in the order of their parts' names, then of the part.
        created_at: `[n]`, in any unit.
        completed: `[n]`.

    Returns:
        `[n]`.
    """
    counts = np.ones(len(halves), bool)
    order = np.argsort(halves[:, 0])
    high = halves[order, 0]
    same = high[1:] == high[:-1]
    if not same.any():
        return counts
    # Only rows that share the first half of their key can be of one id: few, as a rule.
    shares = np.zeros(len(halves), bool)
    shares[1:] |= same
    shares[:-1] |= same
    rows = order[shares]
    rows = rows[
        np.lexsort((rows, completed[rows], created_at[rows], halves[rows, 1], halves[rows, 0]))
    ]
    last = np.ones(len(rows), bool)
    last[:-1] = (halves[rows[1:]] != halves[rows[:-1]]).any(axis=1)
    counts[rows] = last
    return counts
