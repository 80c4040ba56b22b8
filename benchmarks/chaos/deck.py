"""Which fault comes next: shuffled, but each kind as often as it should."""

from __future__ import annotations

import random

from benchmarks.chaos.faults import FAULTS, KILLS, ON_NODES

_TIMES_OF_KILLS = 4
_TIMES_OF_OTHERS = 2
_SOON = 3  # faults later: what kept it from coming to pass may be over then
_TIMES = {"Ray head killed": 1}  # a minute each: the drivers wait for the head to come back


class FaultDeck:
    """Faults as cards: a new deck, in which every kind is, is begun when one has been dealt."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._cards: list[str] = []

    def draw(self, *, on_nodes: bool) -> str:
        """The next fault; those that need a cluster wait for a round that has one."""
        while True:
            for number, name in enumerate(self._cards):
                if on_nodes or name not in ON_NODES:
                    return self._cards.pop(number)
            self._cards += self._new_deck()

    def put_back(self, name: str) -> None:
        """Deal a fault that did not come to pass again soon."""
        self._cards.insert(_SOON, name)

    def _new_deck(self) -> list[str]:
        cards = [name for name in FAULTS for _ in range(_times(name))]
        self._random.shuffle(cards)
        return cards


def _times(name: str) -> int:
    return _TIMES.get(name, _TIMES_OF_KILLS if name in KILLS else _TIMES_OF_OTHERS)
