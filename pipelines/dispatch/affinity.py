"""The queue of waiting rows, which picks for each worker the row that suits it best.

A worker caches encoded prompts, styles and content images. A worker with room gets the waiting row
that shares much with its own recent rows and little with the rows of others. Affinity only chooses
the row; it never delays one: no worker waits for a row, and no row for a worker. Rows that share
nothing go first in, first out.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

from pipelines.dispatch.device_backlog import work_in
from pipelines.dispatch.row_affinity import BUCKET_WORTH, RowAffinity, affinity_of
from pipelines.dispatch.tasks import Task
from uso_core.loading.dimensions import EncodingCosts

PASSES_PER_WORKER = 16
"""A row may be passed over at most this many times per worker."""

_DEFAULT_COSTS = EncodingCosts()
_REMEMBERED = 128  # keys per worker: of 42 rows that share nothing, 200 MB when encoded
_FROM_THE_FRONT = 8  # rows that every worker looks at
_FROM_MEMORY = 6  # recent keys of a worker; it looks at the first row with each


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    """A waiting row without its images; some are kept for a while after assignment."""

    number: int  # of rows that came before
    affinity: RowAffinity


@dataclass(slots=True, eq=False)
class _Memory:
    """Recent keys of a worker, the latest last, and the bucket of its last row."""

    keys: OrderedDict[int, None] = field(default_factory=OrderedDict)
    bucket: int | None = None


class RowQueue:
    """Rows that wait for a worker with room.

    A choice looks at about twenty rows, however many rows wait and however many workers ask.
    """

    def __init__(self, *, batched: bool = False, encoding: EncodingCosts = _DEFAULT_COSTS) -> None:
        """Start empty.

        Args:
            batched: True if workers generate small outputs of one bucket together.
            encoding: costs of the model.
        """
        self._batched = batched
        self._encoding = encoding
        self._rows: OrderedDict[int, _Waiting] = OrderedDict()  # by number
        self._tasks: dict[int, Task] = {}
        self._having: dict[int, deque[_Waiting]] = {}  # by key or bucket; the first one waits
        # Keys that were new when they came, each with its first row. Grouped by their worth, so
        # that prompts, content images and styles stay apart.
        self._new: defaultdict[float, deque[tuple[int, _Waiting]]] = defaultdict(deque)
        self._memories: dict[str, _Memory] = {}
        self._holders: dict[int, int] = {}  # number of workers that remember a key
        self._added = 0
        self._given = 0
        self._num_bytes = 0
        self._longest_first = False

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def num_bytes(self) -> int:
        """Bytes of the values of the waiting rows, which may hold whole images."""
        return self._num_bytes

    def add(self, task: Task) -> None:
        """Append a row."""
        row = _Waiting(self._added, affinity_of(task.row, self._encoding, batched=self._batched))
        self._added += 1
        self._num_bytes += task.entry.num_bytes
        self._rows[row.number] = row
        self._tasks[row.number] = task
        for key, worth in row.affinity.keys.items():
            if key not in self._having and key not in self._holders:
                self._new[worth].append((key, row))
            self._enter(key, row)
        if row.affinity.bucket is not None:
            self._enter(row.affinity.bucket, row)

    def sort_longest_first(self) -> None:
        """Give the longest row first from now on: no more rows will come.

        All workers should end at about the same time.
        """
        if not self._longest_first:
            self._longest_first = True
            work = {number: work_in(task.row) for number, task in self._tasks.items()}
            for number in sorted(work, key=work.__getitem__, reverse=True):
                self._rows.move_to_end(number)

    def next_for(self, worker: str) -> Task | None:
        """Take the row that suits a worker best; None if no row waits."""
        if not self._rows:
            return None
        memory = self._memories.setdefault(worker, _Memory())
        row = self._first if self._longest_first else self._chosen(memory)
        self._remember(memory, row.affinity)
        return self._take_out(row)

    def remove(self, row_id: str) -> Task | None:
        """Take a row out that is no longer wanted; None if it does not wait here."""
        found = (n for n, task in self._tasks.items() if task.row.id == row_id)
        number = next(found, None)
        return None if number is None else self._take_out(self._rows[number])

    def forget(self, worker: str) -> None:
        """Drop the memory of a worker that died: its cache is gone."""
        for key in self._memories.pop(worker, _Memory()).keys:
            self._let_go(key)

    @property
    def _first(self) -> _Waiting:
        return next(iter(self._rows.values()))

    def _chosen(self, memory: _Memory) -> _Waiting:
        first = self._first
        passes = self._given - first.number  # all rows before it were assigned, and these behind it
        if passes >= PASSES_PER_WORKER * len(self._memories):
            return first
        chosen, best = first, self._fit(first.affinity, memory)
        for row in self._candidates(memory):
            fit = self._fit(row.affinity, memory)
            if fit > best or (fit == best and row.number < chosen.number):
                chosen, best = row, fit
        return chosen

    def _candidates(self, memory: _Memory) -> Iterator[_Waiting]:
        """Yield waiting rows that may suit a worker: near the front, like its last row, or new."""
        yield from islice(self._rows.values(), 1, _FROM_THE_FRONT)
        if memory.bucket is not None and memory.bucket in self._having:
            yield self._having[memory.bucket][0]
        for key in islice(reversed(memory.keys), _FROM_MEMORY):
            if key in self._having:
                yield self._having[key][0]
        for new in self._new.values():
            while new and (new[0][1].number not in self._rows or new[0][0] in self._holders):
                new.popleft()
            if new:
                yield new[0][1]

    def _fit(self, affinity: RowAffinity, memory: _Memory) -> float:
        """Estimate the gain of giving a row to this worker rather than another, in TFLOP.

        A key that only this worker has saves its encoding. A key that nobody has must be encoded
        somewhere. A key that others have too binds the row to no worker: if two workers started
        with the same key, one of them should turn to a new one. A key that only others have would
        be encoded once more.
        """
        fit = (
            BUCKET_WORTH
            if affinity.bucket is not None and affinity.bucket == memory.bucket
            else 0.0
        )
        mine, holders = memory.keys, self._holders
        for key, worth in affinity.keys.items():
            if key in mine:
                fit += worth if holders[key] == 1 else -worth
            elif key in holders:
                fit -= 2 * worth
        return fit

    def _take_out(self, row: _Waiting) -> Task:
        task = self._tasks.pop(row.number)
        del self._rows[row.number]
        self._given += 1
        self._num_bytes -= task.entry.num_bytes
        for key in row.affinity.keys:
            self._drop_given(key)
        if row.affinity.bucket is not None:
            self._drop_given(row.affinity.bucket)
        return task

    def _enter(self, key: int, row: _Waiting) -> None:
        having = self._having.get(key)
        if having is None:
            self._having[key] = deque((row,))
        else:
            having.append(row)

    def _drop_given(self, key: int) -> None:
        having = self._having[key]
        while having and having[0].number not in self._rows:
            having.popleft()
        if not having:
            del self._having[key]

    def _remember(self, memory: _Memory, affinity: RowAffinity) -> None:
        memory.bucket = affinity.bucket
        keys = memory.keys
        for key in affinity.keys:
            if key in keys:
                keys.move_to_end(key)
            else:
                keys[key] = None
                self._holders[key] = self._holders.get(key, 0) + 1
        while len(keys) > _REMEMBERED:
            self._let_go(keys.popitem(last=False)[0])

    def _let_go(self, key: int) -> None:
        self._holders[key] -= 1
        if not self._holders[key]:
            del self._holders[key]
