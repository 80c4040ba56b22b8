"""The verdict on a row that was drawn again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pipelines.replay.differences import Difference
from pipelines.replay.images import Distance

Result = Literal["equal", "within_tolerance", "different"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict on one row.

    Attributes:
        row_id: its id.
        result: `equal` to the last byte; `within_tolerance` of its preset; or `different`.
        differences: the circumstances that are not as they were, also of an equal row.
        distance: the largest distance of its images; None if they are equal, or cannot be compared.
        message: the problem of a different row, for users; empty if there is none.
    """

    row_id: str
    result: Result
    differences: Sequence[Difference] = ()
    distance: Distance | None = None
    message: str = ""

    @property
    def reasons(self) -> str:
        """The message and the differences, as one text."""
        texts = [self.message, *(each.message for each in self.differences)]
        if self.result == "different" and not self.differences:
            texts.append("nothing that is recorded has changed")
        return "; ".join(filter(None, texts))

    def as_dict(self) -> dict[str, Any]:
        """Return the verdict as JSON values; equal pixels have no PSNR."""
        distance = self.distance
        measured = distance is not None and not distance.is_zero
        return {
            "id": self.row_id,
            "result": self.result,
            "psnr": distance.psnr if distance is not None and measured else None,
            "largest": None if distance is None else distance.largest,
            "message": self.message,
            "differences": [each._asdict() for each in self.differences],
        }


_MOST_EXAMPLES = 20


@dataclass(slots=True)
class ReplayCounts:
    """The verdicts on some rows, counted.

    Attributes:
        results: number of rows by result.
        differences: number of rows by the kind and the name of a difference.
        examples: the first different rows.
        left_out: rows without an image to compare: their records are failures.
    """

    results: Counter[Result] = field(default_factory=Counter)
    differences: Counter[tuple[str, str]] = field(default_factory=Counter)
    examples: list[Verdict] = field(default_factory=list)
    left_out: int = 0

    def add(self, verdict: Verdict) -> None:
        """Count a verdict."""
        self.results[verdict.result] += 1
        self.differences.update({(each.kind, each.name) for each in verdict.differences})
        if verdict.result == "different" and len(self.examples) < _MOST_EXAMPLES:
            self.examples.append(verdict)

    @property
    def rows(self) -> int:
        """Number of rows that were drawn again."""
        return self.results.total()

    @property
    def is_reproduced(self) -> bool:
        """True if no row is different."""
        return not self.results["different"]

    def as_dict(self) -> Mapping[str, Any]:
        """Return the counts as JSON values."""
        return {
            "rows": self.rows,
            "equal": self.results["equal"],
            "within_tolerance": self.results["within_tolerance"],
            "different": self.results["different"],
            "left_out": self.left_out,
            "differences": [
                {"kind": kind, "name": name, "rows": rows}
                for (kind, name), rows in self.differences.most_common()
            ],
            "examples": [verdict.as_dict() for verdict in self.examples],
        }
