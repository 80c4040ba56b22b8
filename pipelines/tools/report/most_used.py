"""The most used names of many, by hashes: only names that may be in the result are kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from heapq import nsmallest
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from pipelines.keys.index import UInt64

Name = TypeVar("Name", bound=Any)
Places = npt.NDArray[np.int64]

_PENDING = 1 << 16
_SPARE = 1000  # names over the wanted ones, before the last of them are dropped


class Named(NamedTuple):
    """Keys, and a way to their names.

    Attributes:
        keys: `[n]`.
        names: returns the names of the keys at some places.
    """

    keys: UInt64
    names: Callable[[Places], list[Any]]


class KeyCounts:
    """Counts keys: 16 bytes for each different one."""

    def __init__(self) -> None:
        self._keys = np.empty(0, np.uint64)
        self._uses = np.empty(0, np.int64)
        self._pending: list[UInt64] = []
        self._pending_keys = 0

    def add(self, keys: UInt64) -> None:
        """Add keys, `[n]`."""
        self._pending.append(keys)
        self._pending_keys += len(keys)
        if self._pending_keys >= max(_PENDING, len(self._keys) // 4):
            self._merge()

    def counts(self) -> tuple[UInt64, npt.NDArray[np.int64]]:
        """Return all keys, ascending, and the number of uses of each."""
        self._merge()
        return self._keys, self._uses

    def _merge(self) -> None:
        if not self._pending:
            return
        keys, uses = np.unique(np.concatenate(self._pending), return_counts=True)
        self._pending, self._pending_keys = [], 0
        keys, uses = np.concatenate([self._keys, keys]), np.concatenate([self._uses, uses])
        order = np.argsort(keys, kind="stable")  # two sorted runs: merged in one pass
        keys, uses = keys[order], uses[order]
        starts = np.flatnonzero(np.append(True, keys[1:] != keys[:-1])) if len(keys) else order
        self._keys = keys[starts]
        self._uses = np.add.reduceat(uses, starts) if len(keys) else uses


def most_used(counts: KeyCounts, most: int, named: Iterable[Named]) -> list[tuple[Name, int]]:
    """Return the names of the keys with most uses, the most used first; equal ones by name.

    Args:
        counts: the keys.
        most: number of names.
        named: names of all keys, read no further than needed.

    Returns:
        For each its name and its number of uses.
    """
    keys, uses = counts.counts()
    if len(keys) > most:
        candidates = uses >= np.partition(uses, -most)[-most]
        keys, uses = keys[candidates], uses[candidates]
    is_named = np.zeros(len(keys), bool)
    best: list[tuple[int, Any]] = []
    for piece in named if len(keys) else ():
        at = np.searchsorted(keys, piece.keys).clip(max=len(keys) - 1)
        new = np.flatnonzero((keys[at] == piece.keys) & ~is_named[at])
        found, first = np.unique(at[new], return_index=True)
        is_named[found] = True
        best += zip((-uses[found]).tolist(), piece.names(new[first]), strict=True)
        if len(best) > most + _SPARE:
            best = nsmallest(most, best)
        if is_named.all():
            break
    return [(name, -used) for used, name in nsmallest(most, best)]
