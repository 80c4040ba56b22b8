"""The order of the faults: shuffled, with a fixed share for each kind."""

from __future__ import annotations

import random

from benchmarks.chaos.faults import FAULTS, KILLS, ON_NODES

_TIMES_OF_KILLS = 4
_TIMES_OF_OTHERS = 2
_SOON = 3  # faults later, when the obstacle may be gone
_TIMES = {"Ray head killed": 1}  # takes a minute: the drivers wait for the head to return


class FaultDeck:
    """Faults as cards of a deck that holds every kind; used up, it is replaced by a new one."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._cards: list[str] = []

    def draw(self, *, on_nodes: bool) -> str:
        """Return the next fault; faults that need a cluster wait for a round that has one."""
        while True:
            for number, name in enumerate(self._cards):
                if on_nodes or name not in ON_NODES:
                    return self._cards.pop(number)
            self._cards += self._new_deck()

    def put_back(self, name: str) -> None:
        """Return a fault that had no effect, so that it is drawn again soon."""
        self._cards.insert(_SOON, name)

    def _new_deck(self) -> list[str]:
        cards = [name for name in FAULTS for _ in range(_times(name))]
        self._random.shuffle(cards)
        return cards


def _times(name: str) -> int:
    return _TIMES.get(name, _TIMES_OF_KILLS if name in KILLS else _TIMES_OF_OTHERS)
