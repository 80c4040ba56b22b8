"""Counts of the images that the safety check has seen."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.ledger.records import Records
from pipelines.record import NSFW_CONTENTS, NSFW_SCORE


@dataclass(frozen=True, slots=True)
class FlagCounts:
    """Numbers of images, withheld ones included.

    Attributes:
        checked: images that the check has seen.
        flagged: images among them that it has flagged.
    """

    checked: int = 0
    flagged: int = 0

    @classmethod
    def of(cls, flags: pa.Array) -> FlagCounts:
        """Count the values of the column of flags."""
        if pa.types.is_null(flags.type):
            return cls()
        each = flags.flatten()
        return cls(len(each) - each.null_count, pc.sum(each).as_py() or 0)

    def __add__(self, other: FlagCounts) -> FlagCounts:
        return FlagCounts(self.checked + other.checked, self.flagged + other.flagged)


def count_flags(records: Records) -> FlagCounts:
    """Count the images of records; reads one column, and none in an output without scores.

    Raises:
        LedgerError, StorageError: see `Records.batches`.
    """
    if NSFW_SCORE not in records.schema.names:
        return FlagCounts()
    batches = records.batches([NSFW_CONTENTS])
    return sum((FlagCounts.of(batch[NSFW_CONTENTS]) for batch in batches), FlagCounts())
