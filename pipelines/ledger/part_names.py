"""Names of parts: in the order of their writes, and foreseeable for the run that takes over."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from pipelines.ledger.parts import FOLDER, Part

_NUMBERED = re.compile(rf"{FOLDER}/part-r(\d{{6}})-(\d{{8}})-([0-9a-f]{{8}})\.parquet")


@dataclass(frozen=True, slots=True)
class PartName:
    """The name of a part that a run writes.

    Names sort by `turn`, then by `number`. Older versions named parts by a hash; all those names
    sort before these.

    Attributes:
        turn: greater than that of each part that was there when the run opened the ledger.
        number: the number of parts that the run has written before.
        run: a hash of the run's id, so that two runs of the same turn never share a name.
    """

    turn: int
    number: int
    run: str

    @classmethod
    def first(cls, run_id: str, parts: Iterable[Part]) -> PartName:
        """Return the name of the first part of a run that finds these parts."""
        turns = [name.turn for name in map(cls.of, parts) if name is not None]
        return cls(max(turns, default=0) + 1, 0, run_key(run_id))

    @classmethod
    def of(cls, part: Part) -> PartName | None:
        """Return the name of a part; None for a part of an older version."""
        found = _NUMBERED.fullmatch(part.path)
        return found and cls(int(found[1]), int(found[2]), found[3])

    @property
    def path(self) -> str:
        """Path of the part, relative to the output."""
        return f"{FOLDER}/part-r{self.turn:06d}-{self.number:08d}-{self.run}.parquet"

    @property
    def next(self) -> PartName:
        """The name of the run's next part."""
        return replace(self, number=self.number + 1)


def run_key(run_id: str) -> str:
    """Return the hash of a run's id that is in the names of its parts."""
    return hashlib.blake2b(run_id.encode(), digest_size=4).hexdigest()
