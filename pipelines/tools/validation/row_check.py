"""Checks every row of a manifest as a run would."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pipelines.manifest.manifest import Manifest
from pipelines.rows import RejectedRow
from pipelines.tools.problems import Findings, Problem
from pipelines.tools.validation.references import DistinctReferences

Advance = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class RowCheck:
    """The result of a check.

    Attributes:
        rows: the number of rows.
        accepted: the number of rows that a run would accept.
        references: the distinct references of the accepted rows.
    """

    rows: int
    accepted: int
    references: DistinctReferences


def check_rows(manifest: Manifest, found: Findings, on_rows: Advance) -> RowCheck:
    """Check every row as a run would, without its images.

    Raises:
        ManifestError: a file has changed or is damaged.
    """
    rows = accepted = 0
    references = DistinctReferences()
    for batch in manifest.batches():
        for entry in batch.entries:
            row = entry.row
            if isinstance(row, RejectedRow):
                failure = row.failure
                found.add(Problem(failure.code, row.column, row.id, 1, failure.message))
            else:
                accepted += 1
                references.add(row)
        rows += len(batch.entries)
        on_rows(len(batch.entries))
    return RowCheck(rows, accepted, references)
