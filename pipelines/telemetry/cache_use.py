"""How often the workers found in memory what rows needed."""

from __future__ import annotations

from collections.abc import Mapping

from pipelines.rows import Outcome
from uso_core.model.cache import Lookups


class CacheUse:
    """Adds up over workers; each outcome tells what its worker has looked up since its start."""

    def __init__(self) -> None:
        self._workers: dict[str, Mapping[str, Lookups]] = {}

    def note(self, outcome: Outcome) -> None:
        """Take in what a worker says; its rows may arrive in another order than they ended in."""
        worker = outcome.worker
        if worker is not None and _count(outcome.caches) >= _count(self._workers.get(worker, {})):
            self._workers[worker] = outcome.caches

    @property
    def total(self) -> dict[str, Lookups]:
        """By kind; those of a worker that died count up to its last outcome."""
        total: dict[str, Lookups] = {}
        for caches in self._workers.values():
            for kind, lookups in caches.items():
                total[kind] = total.get(kind, Lookups()) + lookups
        return total


def _count(caches: Mapping[str, Lookups]) -> int:
    return sum(lookups.count for lookups in caches.values())
