"""The rows at hand, and which of them suits a worker best.

A worker keeps what it has encoded: prompts, styles, content images. So when it has room it is
given, of the rows at hand, one that shares much with its last rows and little with those of
others. Only which row it is depends on that, never whether or when a worker gets one: no worker
waits for its row, and no row for its worker. Rows that share nothing go first in, first out.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

from pipelines.dispatch.device_backlog import work_in
from pipelines.dispatch.row_affinity import BUCKET_WORTH, RowAffinity, affinity_of
from pipelines.dispatch.tasks import Task

PASSES_PER_WORKER = 16
"""For each worker a row is passed over at most so often: while each draws so many others."""

_REMEMBERED = 128  # things per worker: those of 42 rows that share nothing, 200 MB when encoded
_FROM_THE_FRONT = 8  # rows that every worker looks at
_FROM_MEMORY = 6  # things that a worker had last; it looks at the first row that has each


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    """A row at hand, without its images: some of these are kept for a while after it was given."""

    number: int  # of those that came before
    traits: RowAffinity


@dataclass(slots=True, eq=False)
class _Memory:
    """What a worker was given lately: things, the latest last, and the form of its last row."""

    keys: OrderedDict[int, None] = field(default_factory=OrderedDict)
    bucket: int | None = None


class RowQueue:
    """Rows that are at hand, until a worker that has room asks for one.

    However many rows are at hand, and however many workers ask, a choice looks at some twenty rows.
    """

    def __init__(self, *, batched: bool = False) -> None:
        """Start empty.

        Args:
            batched: workers draw small outputs of one form together.
        """
        self._batched = batched
        self._rows: OrderedDict[int, _Waiting] = OrderedDict()  # by number
        self._tasks: dict[int, Task] = {}
        self._having: dict[int, deque[_Waiting]] = {}  # by thing or form; the first is at hand
        # By what things are worth, so that prompts, content images and styles are apart: things
        # that were new when they came, each with its first row.
        self._new: defaultdict[float, deque[tuple[int, _Waiting]]] = defaultdict(deque)
        self._memories: dict[str, _Memory] = {}
        self._holders: dict[int, int] = {}  # how many workers remember a thing
        self._added = 0
        self._given = 0
        self._num_bytes = 0
        self._longest_first = False

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def num_bytes(self) -> int:
        """Bytes of the values of the rows at hand: they may hold whole images."""
        return self._num_bytes

    def add(self, task: Task) -> None:
        """Take in a row, behind the others."""
        row = _Waiting(self._added, affinity_of(task.row, batched=self._batched))
        self._added += 1
        self._num_bytes += task.entry.num_bytes
        self._rows[row.number] = row
        self._tasks[row.number] = task
        for thing, worth in row.traits.keys.items():
            if thing not in self._having and thing not in self._holders:
                self._new[worth].append((thing, row))
            self._enter(thing, row)
        if row.traits.bucket is not None:
            self._enter(row.traits.bucket, row)

    def sort_longest_first(self) -> None:
        """From now on give the longest row first, whoever asks: no more rows are to come.

        What counts then is that all workers end together.
        """
        if not self._longest_first:
            self._longest_first = True
            work = {number: work_in(task.row) for number, task in self._tasks.items()}
            for number in sorted(work, key=work.__getitem__, reverse=True):
                self._rows.move_to_end(number)

    def next_for(self, worker: str) -> Task | None:
        """Take out the row that suits a worker best; None where no row is at hand."""
        if not self._rows:
            return None
        memory = self._memories.setdefault(worker, _Memory())
        row = self._first if self._longest_first else self._chosen(memory)
        self._remember(memory, row.traits)
        return self._take_out(row)

    def forget(self, worker: str) -> None:
        """A worker has died, and what it kept is gone."""
        for thing in self._memories.pop(worker, _Memory()).keys:
            self._let_go(thing)

    @property
    def _first(self) -> _Waiting:
        return next(iter(self._rows.values()))

    def _chosen(self, memory: _Memory) -> _Waiting:
        first = self._first
        passes = self._given - first.number  # all rows before it were given, and these behind it
        if passes >= PASSES_PER_WORKER * len(self._memories):
            return first
        chosen, best = first, self._fit(first.traits, memory)
        for row in self._candidates(memory):
            fit = self._fit(row.traits, memory)
            if fit > best or (fit == best and row.number < chosen.number):
                chosen, best = row, fit
        return chosen

    def _candidates(self, memory: _Memory) -> Iterator[_Waiting]:
        """Rows at hand that may suit a worker: near the front, like its last row, or quite new."""
        yield from islice(self._rows.values(), 1, _FROM_THE_FRONT)
        if memory.bucket is not None and memory.bucket in self._having:
            yield self._having[memory.bucket][0]
        for thing in islice(reversed(memory.keys), _FROM_MEMORY):
            if thing in self._having:
                yield self._having[thing][0]
        for new in self._new.values():
            while new and (new[0][1].number not in self._rows or new[0][0] in self._holders):
                new.popleft()
            if new:
                yield new[0][1]

    def _fit(self, traits: RowAffinity, memory: _Memory) -> float:
        """What it gains to give a row to one worker rather than to another, in TFLOP, roughly.

        A thing that this worker alone has saves its encoding. One that nobody has must be encoded
        somewhere. One that others have, too, binds the row to no worker: where two have begun with
        the same, one of them had better turn to what is new. One that only others have would be
        encoded once more.
        """
        fit = BUCKET_WORTH if traits.bucket is not None and traits.bucket == memory.bucket else 0.0
        mine, holders = memory.keys, self._holders
        for thing, worth in traits.keys.items():
            if thing in mine:
                fit += worth if holders[thing] == 1 else -worth
            elif thing in holders:
                fit -= 2 * worth
        return fit

    def _take_out(self, row: _Waiting) -> Task:
        task = self._tasks.pop(row.number)
        del self._rows[row.number]
        self._given += 1
        self._num_bytes -= task.entry.num_bytes
        for thing in row.traits.keys:
            self._drop_given(thing)
        if row.traits.bucket is not None:
            self._drop_given(row.traits.bucket)
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

    def _remember(self, memory: _Memory, traits: RowAffinity) -> None:
        memory.bucket = traits.bucket
        keys = memory.keys
        for thing in traits.keys:
            if thing in keys:
                keys.move_to_end(thing)
            else:
                keys[thing] = None
                self._holders[thing] = self._holders.get(thing, 0) + 1
        while len(keys) > _REMEMBERED:
            self._let_go(keys.popitem(last=False)[0])

    def _let_go(self, thing: int) -> None:
        self._holders[thing] -= 1
        if not self._holders[thing]:
            del self._holders[thing]
