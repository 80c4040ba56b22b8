"""Counts content images and combinations of styles: a few numbers for each row."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Codes = npt.NDArray[np.int32]
Scalar = TypeVar("Scalar", bound=np.generic)


class TextCodes:
    """Numbers texts in the order in which they appear."""

    def __init__(self) -> None:
        self._codes: dict[str, int] = {}

    def of(self, texts: pa.Array) -> Codes:
        """Return the number of each text, -1 for null."""
        coded = texts.dictionary_encode()
        known = [self._codes.setdefault(t, len(self._codes)) for t in coded.dictionary.to_pylist()]
        codes = pc.fill_null(coded.indices, len(known)).to_numpy(zero_copy_only=False)
        numbers: Codes = np.array([*known, -1], np.int32)[codes]
        return numbers

    def find(self, text: str) -> int | None:
        """Return the number of a text; None: it was never seen."""
        return self._codes.get(text)

    @property
    def texts(self) -> list[str]:
        """All texts by their numbers."""
        return list(self._codes)


@dataclass(frozen=True, slots=True)
class _Places:
    """The rows of each content image: `rows[starts[content]:starts[content + 1]]`, in order."""

    rows: npt.NDArray[np.int64]
    starts: npt.NDArray[np.int64]


class ReferenceCodes:
    """Takes the references of rows in any order, and then answers for rows in the final order."""

    def __init__(self) -> None:
        self._contents, self._styles = TextCodes(), TextCodes()
        self._sets: dict[tuple[int, ...], int] = {}
        self._content_parts: list[Codes] = []
        self._set_parts: list[Codes] = []
        self._failed_parts: list[npt.NDArray[np.bool_]] = []

    def add(self, contents: pa.Array, styles: pa.Array, codes: pa.Array) -> None:
        """Add rows: content images, lists of styles, and failure codes, null for completed rows."""
        self._content_parts.append(self._contents.of(contents))
        self._set_parts.append(self._set_numbers(styles))
        self._failed_parts.append(codes.is_valid().to_numpy(zero_copy_only=False))

    def finish(self, order: npt.NDArray[np.int64] | None) -> None:
        """Bring the rows into their final order; None: that in which they were added."""
        self._content = _ordered(self._content_parts, order, np.int32)
        self._failed = _ordered(self._failed_parts, order, np.bool_)
        self.sets = _ordered(self._set_parts, order, np.int32)
        self._content_parts, self._set_parts, self._failed_parts = [], [], []
        self._places: _Places | None = None

    @property
    def style_texts(self) -> list[str]:
        """The different styles by their numbers."""
        return self._styles.texts

    @property
    def styles_of_sets(self) -> list[tuple[int, ...]]:
        """The numbers of the styles in each combination."""
        return list(self._sets)

    def styles(self, most: int) -> list[tuple[str, int]]:
        """Return the most used styles, each with its number of uses."""
        rows = np.bincount(self.sets, minlength=len(self._sets))
        counts = np.zeros(len(self._styles.texts), np.int64)
        for styles, used in zip(self._sets, rows.tolist(), strict=True):
            for style in styles:
                counts[style] += used
        names = self._styles.texts
        return [(names[n], int(counts[n])) for n in _most_used(counts, names, most)]

    def style_sets(self, most: int) -> list[tuple[str, ...]]:
        """Return the most used combinations of styles among rows with a content image."""
        counts = np.bincount(self.sets[self._content >= 0], minlength=len(self._sets))
        names = self._styles.texts
        sets = [tuple(names[style] for style in styles) for styles in self._sets]
        counts[[number for number, styles in enumerate(sets) if not styles]] = 0
        return [sets[number] for number in _most_used(counts, sets, most)]

    def contents(self, sets: Iterable[tuple[str, ...]], most: int) -> list[str]:
        """Return the most used content images among rows with one of these combinations."""
        wanted = [number for number in map(self._set_number, sets) if number is not None]
        mine = (self._content >= 0) & np.isin(self.sets, wanted)
        names = self._contents.texts
        counts = np.bincount(self._content[mine], minlength=len(names))
        return [names[number] for number in _most_used(counts, names, most)]

    def pairs(self, content: str, sets: Iterable[tuple[str, ...]]) -> list[tuple[int, int, int]]:
        """Return the combinations that a content image has.

        Returns:
            For each its index, its number of rows, and the first completed row; if all failed, the
            first one.
        """
        code = self._contents.find(content)
        if code is None:
            return []
        places = self._rows_by_content()
        rows = places.rows[places.starts[code] : places.starts[code + 1]]
        of_rows, failed = self.sets[rows], self._failed[rows]
        found = []
        for index, styles in enumerate(sets):
            mine = of_rows == self._set_number(styles)
            if mine.any():
                completed = rows[mine & ~failed]
                first = completed[0] if len(completed) else rows[mine][0]
                found.append((index, int(mine.sum()), int(first)))
        return found

    def _rows_by_content(self) -> _Places:
        if self._places is None:
            rows = np.argsort(self._content, kind="stable")
            codes = np.arange(len(self._contents.texts) + 1)
            self._places = _Places(rows, np.searchsorted(self._content[rows], codes))
        return self._places

    def _set_number(self, styles: Sequence[str]) -> int | None:
        codes = [self._styles.find(style) for style in styles]
        return (
            None
            if None in codes
            else self._sets.get(tuple(code for code in codes if code is not None))
        )

    def _set_numbers(self, styles: pa.Array) -> Codes:
        """Return the number of the combination of each row."""
        lengths = pc.fill_null(pc.list_value_length(styles), 0).to_numpy()
        flat = self._styles.of(pc.list_flatten(styles))
        starts = np.cumsum(lengths) - lengths
        numbers = np.zeros(len(styles), np.int32)
        for length in np.unique(lengths).tolist():
            rows = np.flatnonzero(lengths == length)
            lists = flat[starts[rows, None] + np.arange(length)]
            different, which = np.unique(lists, axis=0, return_inverse=True)
            known = [
                self._sets.setdefault(tuple(one), len(self._sets)) for one in different.tolist()
            ]
            numbers[rows] = np.array(known, np.int32)[which.reshape(-1)]
        return numbers


def _ordered(
    parts: Sequence[npt.NDArray[Scalar]], order: npt.NDArray[np.int64] | None, kind: type[Scalar]
) -> npt.NDArray[Scalar]:
    whole = np.concatenate([np.empty(0, kind), *parts])
    return whole if order is None else whole[order]


def _most_used(counts: npt.NDArray[np.int64], names: Sequence[object], most: int) -> list[int]:
    """Return the indices of the highest counts above 0, highest first; equal ones by name."""
    used = np.flatnonzero(counts)
    if len(used) > most:
        least = np.partition(counts[used], -most)[-most]
        used = used[counts[used] >= least]
    order = sorted(used.tolist(), key=lambda n: (-counts[n], names[n]))
    return order[:most]
