"""Checks every row of a manifest as a run would."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pipelines.manifest.manifest import Manifest
from pipelines.rows import RejectedRow
from pipelines.tools.problems import Findings, Problem
from pipelines.tools.validation.references import CountedReferences

Advance = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class RowCheck:
    """The result of a check.

    Attributes:
        rows: the number of rows.
        accepted: the number of rows that a run would accept.
        references: the number of distinct references of the accepted rows.
    """

    rows: int
    accepted: int
    references: int


def check_rows(manifest: Manifest, found: Findings, on_rows: Advance) -> RowCheck:
    """Check every row as a run would, without its images.

    Args:
        manifest: the manifest.
        found: gets the problems.
        on_rows: called with the number of rows checked since the last call.

    Raises:
        ManifestError: a file has changed or is damaged.
    """
    rows = accepted = 0
    references = CountedReferences()
    for batch in manifest.survey():
        count = len(batch.entries)
        for entry in batch.entries:
            row = entry.row
            if isinstance(row, RejectedRow):
                failure = row.failure
                found.add(Problem(failure.code, row.column, row.id, 1, failure.message))
            else:
                accepted += 1
                references.add(row)
        if batch.ordinary is not None:
            references.add_ordinary(batch.ordinary)
            accepted += len(batch.ordinary)
            count += len(batch.ordinary)
        rows += count
        on_rows(count)
    return RowCheck(rows, accepted, len(references))
