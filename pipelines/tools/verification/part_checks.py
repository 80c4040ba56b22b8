"""Checks the files of records against the list of their hashes."""

from __future__ import annotations

from collections.abc import Sequence

from pipelines.ledger.part_digests import DIGESTS_PATH, part_digest, read_part_digests
from pipelines.ledger.parts import Part
from pipelines.storage.storage import Storage
from pipelines.tools.problems import Findings, Problem


def check_part_digests(
    output: Storage,
    parts: Sequence[Part],
    empty: frozenset[str],
    damaged: frozenset[str],
    found: Findings,
) -> None:
    """Find files of records that were changed or removed since a run has listed them.

    A run that was killed leaves files that are not listed, and may have merged others into them.
    The next run that ends lists them.

    Args:
        output: the output.
        parts: its files of records that are not damaged.
        empty: paths of the ones without records, which a later run may write anew.
        damaged: paths of files that are there, and damaged; they have a problem of their own.
        found: takes the problems.

    Raises:
        StorageError: a store failed.
    """
    listed = read_part_digests(output)
    if not listed:
        return
    there = {part.path: part for part in parts}
    new = [path for path in there if path not in listed and path not in empty]
    for path, digest in listed.items():
        part = there.get(path)
        if path in damaged:
            continue
        if part is None and not new:
            message = (
                f"{DIGESTS_PATH} lists this file, and it is gone; restore it, or rerun the command "
                "of the run: it generates the rows again"
            )
            found.add(Problem("records_missing", None, None, 0, message, output.uri(path)))
        elif part is not None and path not in empty and part_digest(output, part) != digest:
            message = (
                "the file has another SHA-256 than when a run listed it: one of its records was "
                "changed; restore it, or move it out of records/ and rerun the command of the run"
            )
            found.add(Problem("records_changed", None, None, 0, message, output.uri(path)))
    for path in new:
        message = (
            f"{DIGESTS_PATH} does not list this file, as during a run or after a killed one; the "
            "next run that ends lists it"
        )
        problem = Problem("records_unlisted", None, None, 0, message, output.uri(path), "note")
        found.add(problem)
