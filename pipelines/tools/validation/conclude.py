"""Turns the results of a check into problems, in the order of the manifest."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.keys.distinct import RepeatedHashes
from pipelines.keys.index import UInt64
from pipelines.keys.quick import quick_hashes
from pipelines.tools.problems import Problem
from pipelines.tools.validation.checked import CHECKED_SCHEMA, CheckedParts
from uso_core.model.sizes import Size


@dataclass(slots=True)
class Facts:
    """Facts about the images that could be read.

    Attributes:
        images: the number of images.
        num_bytes: the total size of their files.
        smallest: the size of the smallest image by area, in pixels; None if there is no image.
        largest: the size of the largest image by area, in pixels; None if there is no image.
    """

    images: int = 0
    num_bytes: int = 0
    smallest: Size | None = None
    largest: Size | None = None

    def add(self, checked: pa.Table) -> None:
        """Add the images among some results."""
        read = checked.filter(checked["width"].is_valid())
        if not len(read):
            return
        self.images += len(read)
        self.num_bytes += pc.sum(read["num_bytes"]).as_py()
        width, height = (read[name].to_numpy().astype(np.int64) for name in ("width", "height"))
        for at in (int((width * height).argmin()), int((width * height).argmax())):
            size = Size(int(width[at]), int(height[at]))
            if self.smallest is None or _area(size) < _area(self.smallest):
                self.smallest = size
            if self.largest is None or _area(size) > _area(self.largest):
                self.largest = size


@dataclass(frozen=True, slots=True)
class Conclusion:
    """The results of a check as a whole. Memory grows with the problems, not with the references.

    Attributes:
        facts: facts about the images.
        concerned: the results with problems, with the schema `CHECKED_SCHEMA` and the column
            `same_as`, the first reference with the same file; in the order of the manifest.
    """

    facts: Facts
    concerned: pa.Table

    @classmethod
    def of(cls, parts: CheckedParts) -> Conclusion:
        """Read the results, twice."""
        facts, digests = Facts(), RepeatedHashes()
        for table in parts.tables():
            facts.add(table)
            digests.add(_digests(table))
        repeated = digests.repeated()
        chosen = [_concerned(table, repeated) for table in parts.tables()]
        table = pa.concat_tables([CHECKED_SCHEMA.empty_table(), *chosen])
        table = table.take(pc.sort_indices(table["place"]))  # `sort_by` imports pyarrow.dataset
        return cls(facts, table.append_column("same_as", _same_as(table)))

    def problems(self, rows: Callable[[bytes], int]) -> Iterator[Problem]:
        """Yield the problems.

        Args:
            rows: returns the number of rows that use the reference with a key.
        """
        for batch in self.concerned.to_batches(max_chunksize=4096):
            for result in batch.to_pylist():
                yield from _problems(result, rows(result["key"]))


def _problems(result: dict[str, Any], rows: int) -> Iterator[Problem]:
    shown = result["shown"]
    place = (result["column"], result["row_id"], rows)
    if result["code"] is not None:
        yield Problem(result["code"], *place, result["message"], result["uri"] or shown)
    if result["note"] is not None:
        message = f"{shown}: {result['note']}"
        yield Problem("colour_profile", *place, message, shown, "note")
    if result["wish"] is not None:
        message = (
            f"{shown}: its owner does not want it used for AI ({result['wish']}); see fetch.wishes"
        )
        yield Problem("wish", *place, message, shown, "note")
    if result["same_as"] is not None:
        message = f"{shown}: the same file as {result['same_as']}"
        yield Problem("duplicate_image", *place, message, shown, "note")


def _digests(table: pa.Table) -> UInt64:
    return quick_hashes(table["digest"].drop_null().combine_chunks())


def _concerned(table: pa.Table, repeated: UInt64) -> pa.Table:
    """Return the results with problems, and those whose file is that of others."""
    has_digest = table["digest"].is_valid().to_numpy()
    remarks = ("code", "note", "wish")
    chosen = np.any([table[name].is_valid().to_numpy() for name in remarks], axis=0)
    chosen[np.flatnonzero(has_digest)[np.isin(_digests(table), repeated)]] = True
    return table.filter(pa.array(chosen))


def _same_as(table: pa.Table) -> pa.Array:
    """Return for each result the first reference before it with the same file, `[n]`, or null."""
    first: dict[bytes, str] = {}
    found: list[str | None] = []
    pairs = zip(table["digest"].to_pylist(), table["shown"].to_pylist(), strict=True)
    for digest, shown in pairs:
        before = None if digest is None else first.setdefault(digest, shown)
        found.append(None if before == shown else before)
    return pa.array(found, pa.string())


def _area(size: Size) -> int:
    return size.width * size.height
