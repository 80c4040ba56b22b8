"""The waiting tasks in the order in which they are claimed; keys take turns.

It mirrors the database in memory, because a claim and a place in the queue depend on all tasks that
wait. The turn of a task is its place among the waiting tasks of its key, plus the tasks of the key
that are at work. So a key with many tasks does not hold up a key with few.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left, insort
from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import NamedTuple

from jobs.serve.task import Lane, Task


class Place(NamedTuple):
    """A waiting task; places are ordered by acceptance."""

    sequence: int
    task_id: str
    key_id: str
    lane: Lane


class Line:
    """Waiting tasks, and the keys of tasks at work."""

    def __init__(self) -> None:
        self._places: dict[str, Place] = {}
        self._lanes: defaultdict[Lane, defaultdict[str, list[Place]]]
        self._lanes = defaultdict(lambda: defaultdict(list))
        self._keys_at_work: dict[str, str] = {}
        self._at_work: Counter[str] = Counter()
        self._waiting: Counter[str] = Counter()

    def __len__(self) -> int:
        """Return the number of waiting tasks."""
        return len(self._places)

    def waiting(self, key_id: str) -> int:
        """Return the number of waiting tasks of a key."""
        return self._waiting[key_id]

    def at_work(self, key_id: str) -> int:
        """Return the number of tasks of a key that are at work."""
        return self._at_work[key_id]

    def wait(self, place: Place) -> None:
        """Let a task wait, one at work too."""
        self.leave(place.task_id)
        self._places[place.task_id] = place
        self._waiting[place.key_id] += 1
        insort(self._lanes[place.lane][place.key_id], place)

    def work(self, task_id: str, key_id: str) -> None:
        """Count a task as one at work."""
        self.leave(task_id)
        self._keys_at_work[task_id] = key_id
        self._at_work[key_id] += 1

    def leave(self, task_id: str) -> None:
        """Forget a task."""
        key_id = self._keys_at_work.pop(task_id, None)
        if key_id is not None:
            _take_one(self._at_work, key_id)
        place = self._places.pop(task_id, None)
        if place is not None:
            _take_one(self._waiting, place.key_id)
            keys = self._lanes[place.lane]
            places = keys[place.key_id]
            del places[bisect_left(places, place)]
            if not places:
                del keys[place.key_id]

    def first(self, lane: Lane, most: int, room: Mapping[str, int]) -> list[Place]:
        """Return the first tasks of a lane.

        Args:
            lane: the lane.
            most: most tasks.
            room: most tasks of a key; a key that it does not name has no limit.
        """
        keys = self._lanes[lane]
        next_ones = [
            (self._at_work[key_id] + 1, places[0], 0)
            for key_id, places in keys.items()
            if room.get(key_id, 1) > 0
        ]
        heapq.heapify(next_ones)
        chosen: list[Place] = []
        while next_ones and len(chosen) < most:
            turn, place, number = next_ones[0]
            chosen.append(place)
            places, number = keys[place.key_id], number + 1
            if number < min(len(places), room.get(place.key_id, number + 1)):
                heapq.heapreplace(next_ones, (turn + 1, places[number], number))
            else:
                heapq.heappop(next_ones)
        return chosen

    def before(self, task: Task) -> int | None:
        """Return the number of waiting tasks before a task; None if it does not wait.

        They are those of its lane that are claimed first if no task comes or ends meanwhile, and
        for a batch task all interactive ones. A key that has as many tasks at work as it may lets
        tasks of others pass.
        """
        mine = self._places.get(task.id)
        if mine is None:
            return None
        keys = self._lanes[mine.lane]
        turn = self._at_work[mine.key_id] + 1 + bisect_left(keys[mine.key_id], mine)
        count = sum(self._of_key_before(mine, turn, places) for places in keys.values())
        if mine.lane == "batch":
            count += sum(map(len, self._lanes["interactive"].values()))
        return count

    def _of_key_before(self, mine: Place, turn: int, places: list[Place]) -> int:
        number = turn - 1 - self._at_work[places[0].key_id]  # of the one with the same turn
        if number < 0:
            return 0
        if number < len(places) and places[number] < mine:
            return number + 1
        return min(number, len(places))


def _take_one(counter: Counter[str], key_id: str) -> None:
    counter[key_id] -= 1
    if not counter[key_id]:
        del counter[key_id]
