"""Makes the row of a record again, with every value that decides about its image.

A fingerprint tells whether the values are right. Records of earlier versions lack `keep_size` and
`content_long_size`, so these are looked for: the ones that give the recorded fingerprint are used.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from pipelines.config.schema import RunConfig
from pipelines.manifest.row_identity import Fingerprints
from pipelines.record import LIBRARY_STYLES, TRIES
from pipelines.reference_facts import LibraryStyle
from pipelines.rows import ManifestRow, Reference
from uso_core.request import Limits, Parameters

Record = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RecordedRow:
    """A row that was made of its record.

    Attributes:
        row: the row; inline references are hashes until `with_inline`.
        is_sure: True if its values give the recorded fingerprint.
    """

    row: ManifestRow
    is_sure: bool


class RecordedRows:
    """Makes rows of the records of one run.

    Args:
        config: the configuration of the run.
        model: fingerprint of its model.
        limits: limits of the model.
    """

    def __init__(self, config: RunConfig, model: str, limits: Limits) -> None:
        self._fingerprints = Fingerprints(config, model)
        self._limits = limits
        given = config.defaults
        self._keep_size = _or(given.keep_size, limits.default_keep_size)
        self._long_size = _or(given.content_long_size, limits.default_content_long_size)

    def row(self, record: Record) -> RecordedRow:
        """Return the row of a completed record, with the seed of the try that was kept."""
        for parameters in self._candidates(record):
            if self._fingerprint(record, parameters) == record["fingerprint"]:
                return RecordedRow(self._made(record, parameters), True)
        return RecordedRow(self._made(record, self._assumed(record)), False)

    def _candidates(self, record: Record) -> Iterator[Parameters]:
        """Yield all parameters that the row may have had, likely ones first."""
        for keep_size, long_size in self._content_sizes(record):
            for size in _sizes(record):
                yield _parameters(record, size, keep_size, long_size, _first_seed(record))
        keep_size, long_size = next(self._content_sizes(record))
        if (
            keep_size and record["content_image"] is not None
        ):  # it had no effect, and any is possible
            limits = self._limits
            sides = [None, *range(limits.min_size, limits.max_size + 1, limits.size_step)]
            for size in product(sides, sides):
                yield _parameters(record, size, keep_size, long_size, _first_seed(record))

    def _content_sizes(self, record: Record) -> Iterator[tuple[bool, int]]:
        keep_size, long_size = record.get("keep_size"), record.get("content_long_size")
        if keep_size is not None and long_size is not None:
            yield keep_size, long_size
            return
        yield self._keep_size, self._long_size
        if record["content_image"] is not None:
            long_sizes = range(self._limits.max_content_long_size, -1, -1)
            yield from product((False, True), long_sizes)

    def _assumed(self, record: Record) -> Parameters:
        keep_size, long_size = next(self._content_sizes(record))
        is_kept = keep_size and record["content_image"] is not None and long_size > 0
        size = (None, None) if is_kept else (record["width"], record["height"])
        return _parameters(record, size, keep_size, long_size, record["seed"])

    def _fingerprint(self, record: Record, parameters: Parameters) -> str:
        return self._fingerprints.of_row(
            record["prompt"] or "",
            record["content_image"],
            tuple(record["style_images"] or ()),
            parameters,
            record.get("style_weights"),
            _library_styles(record),
        )

    def _made(self, record: Record, parameters: Parameters) -> ManifestRow:
        weights = record.get("style_weights")
        return ManifestRow(
            id=record["id"],
            prompt=record["prompt"] or "",
            content_image=record["content_image"],
            style_images=tuple(record["style_images"] or ()),
            parameters=replace(parameters, seed=record["seed"]),
            fingerprint=record["fingerprint"],
            style_weights=None if weights is None else tuple(weights),
            library_styles=_library_styles(record),
        )


def _library_styles(record: Record) -> tuple[LibraryStyle, ...]:
    return tuple(LibraryStyle(**each) for each in record.get(LIBRARY_STYLES) or ())


def inline_hashes(row: ManifestRow) -> list[str]:
    """Return the inline references of a row of a record, as records show them."""
    return [each for each in _references(row) if isinstance(each, str) and is_inline(each)]


def is_inline(reference: str) -> bool:
    """Return True for the hash that stands for an inline image in a record."""
    return reference.startswith("sha256:") and "/" not in reference


def _references(row: ManifestRow) -> list[Reference]:
    content = [] if row.content_image is None else [row.content_image]
    return [*content, *row.style_images]


def _parameters(
    record: Record,
    size: tuple[int | None, int | None],
    keep_size: bool,
    long_size: int,
    seed: int,
) -> Parameters:
    return Parameters(
        width=size[0],
        height=size[1],
        num_steps=record["num_steps"],
        guidance=record["guidance"],
        seed=seed,
        keep_size=keep_size,
        content_long_size=long_size,
        num_images=len(record["outputs"]),
    )


def _sizes(record: Record) -> list[tuple[int | None, int | None]]:
    """Return the sizes that a row may have asked for: a side that it left out was inferred."""
    width, height = record["width"], record["height"]
    return [(None, None), (width, height), (width, None), (None, height)]


def _first_seed(record: Record) -> int:
    """Return the seed of the first try, which is the one that the fingerprint has."""
    tries = record.get(TRIES) or ()
    return int(next((each["seed"] for each in tries if each["number"] == 0), record["seed"]))


def _or(value: Any, otherwise: Any) -> Any:  # noqa: ANN401 (of any field)
    return otherwise if value is None else value
