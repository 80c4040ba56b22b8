"""One pass over all records, a few columns of them: which count, and what they say."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt

from pipelines.ledger.counts import FailureExample, LedgerCounts, count_states
from pipelines.ledger.dedup import rows_that_count
from pipelines.ledger.key_index import Halves, halves_of, row_keys
from pipelines.ledger.parts import (
    LedgerError,
    Part,
    PartVanishedError,
    list_parts,
    open_part,
    readable,
)
from pipelines.ledger.row_state import StateCodes, fingerprint_numbers, is_completed
from pipelines.storage.storage import Storage

_COLUMNS = ("id", "status", "fingerprint", "created_at", "error.code", "error.retryable")
_READERS = 8
_AHEAD = 16  # parts read but not yet looked at: bounds the memory
_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Scan:
    """What one pass over the parts found; arrays are `[n]`, rows in the order of the parts.

    Attributes:
        parts: in the order of their names.
        num_rows: of each part.
        origins: the different schemas, each with the URI of a part that has it.
        halves: `[n, 2]`, the rows' keys.
        fingerprints: see `pipelines.ledger.row_state.fingerprint_number`.
        states: numbers that `codes` explains.
        counts: which rows count (see `pipelines.ledger.dedup`).
        examples: by failure code, of rows that count.
    """

    parts: Sequence[Part]
    num_rows: Sequence[int]
    origins: Sequence[tuple[str, pa.Schema]]
    halves: Halves
    fingerprints: npt.NDArray[np.uint64]
    states: npt.NDArray[np.uint8]
    counts: npt.NDArray[np.bool_]
    codes: StateCodes
    examples: Mapping[str, FailureExample]

    def by_part(self) -> Iterator[tuple[Part, npt.NDArray[np.bool_]]]:
        """Each part, and which of its rows count."""
        ends = np.cumsum(self.num_rows, dtype=np.int64).tolist()
        for part, rows, end in zip(self.parts, self.num_rows, ends, strict=True):
            yield part, self.counts[end - rows : end]

    def rows_by_state(self) -> dict[int, int]:
        """How many rows that count are in each state."""
        states, rows = np.unique(self.states[self.counts], return_counts=True)
        return dict(zip(states.tolist(), rows.tolist(), strict=True))

    def tally(self) -> LedgerCounts:
        """How many rows that count there are of each kind."""
        return count_states(self.rows_by_state(), self.codes, self.examples)


def scan_ledger(storage: Storage) -> Scan:
    """Look at all parts, again from the start if another process compacts meanwhile.

    Raises:
        LedgerError: a part is damaged, or is none of ours.
        StorageError: the records cannot be read.
    """
    again = Retrying(
        stop=stop_after_attempt(_ATTEMPTS),
        retry=retry_if_exception_type(PartVanishedError),
        reraise=True,
    )
    try:
        return again(lambda: scan_parts(storage, list_parts(storage)))
    except PartVanishedError as error:
        reason = "this part vanished while it was read; do not remove records during a run"
        raise LedgerError(storage.uri(str(error)), reason) from error


def scan_parts(storage: Storage, parts: Sequence[Part]) -> Scan:
    """Look at these parts, which are in the order of their names.

    Raises:
        PartVanishedError: one of them is not there any more.
        LedgerError: one of them is damaged, or is none of ours.
    """
    found = _Pass()
    for read in _read_ahead(storage, parts):
        found.add(read)
    scan = found.finish(parts)
    return replace(scan, examples=_examples(storage, scan))


class _Read(NamedTuple):
    uri: str
    schema: pa.Schema
    columns: pa.RecordBatch


def _read_ahead(storage: Storage, parts: Sequence[Part]) -> Iterator[_Read]:
    """The columns of each part, in order; threads read, so that storage is not waited for."""
    waiting: deque[Future[_Read]] = deque()
    with ThreadPoolExecutor(_READERS, thread_name_prefix="ledger") as threads:
        try:
            for part in parts:
                waiting.append(threads.submit(_read, storage, part))
                if len(waiting) >= _AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _read(storage: Storage, part: Part) -> _Read:
    file = open_part(storage, part)
    with readable(storage, part):
        table = file.read(columns=list(_COLUMNS), use_threads=False)
    columns = [table[name].combine_chunks() for name in table.column_names]
    batch = pa.RecordBatch.from_arrays(columns, table.column_names)
    return _Read(storage.uri(part.path), file.schema_arrow, batch)


@dataclass(slots=True)
class _Pass:
    """What a scan has met so far."""

    codes: StateCodes = field(default_factory=StateCodes)
    num_rows: list[int] = field(default_factory=list)
    origins: list[tuple[str, pa.Schema]] = field(default_factory=list)
    halves: list[Halves] = field(default_factory=list)
    fingerprints: list[npt.NDArray[np.uint64]] = field(default_factory=list)
    states: list[npt.NDArray[np.uint8]] = field(default_factory=list)
    created_at: list[npt.NDArray[np.int64]] = field(default_factory=list)

    def add(self, read: _Read) -> None:
        """Take the rows of the next part."""
        columns = read.columns
        states = self.codes.encode(columns["status"], columns["error"])
        if not any(read.schema.equals(known) for _, known in self.origins):
            self.origins.append((read.uri, read.schema))
        self.num_rows.append(len(columns))
        self.halves.append(halves_of(row_keys(columns["id"].cast(pa.binary()).to_pylist())))
        self.fingerprints.append(fingerprint_numbers(columns["fingerprint"]))
        self.states.append(states)
        self.created_at.append(columns["created_at"].cast(pa.int64()).to_numpy())

    def finish(self, parts: Sequence[Part]) -> Scan:
        """Which rows count; the pass is used up, lest everything be in memory twice."""
        halves = np.concatenate([np.empty((0, 2), np.uint64), *self.halves])
        self.halves.clear()
        created_at = np.concatenate([np.empty(0, np.int64), *self.created_at])
        self.created_at.clear()
        states = np.concatenate([np.empty(0, np.uint8), *self.states])
        counts = rows_that_count(halves, created_at, is_completed(states))
        del created_at
        fingerprints = np.concatenate([np.empty(0, np.uint64), *self.fingerprints])
        self.fingerprints.clear()
        return Scan(
            parts=tuple(parts),
            num_rows=self.num_rows,
            origins=self.origins,
            halves=halves,
            fingerprints=fingerprints,
            states=states,
            counts=counts,
            codes=self.codes,
            examples={},
        )


def _examples(storage: Storage, scan: Scan) -> dict[str, FailureExample]:
    """The first row of each failure code; their messages are all that is read again."""
    examples: dict[str, FailureExample] = {}
    states = np.where(scan.counts, scan.states, 0)
    ends = np.cumsum(scan.num_rows, dtype=np.int64)
    for state in scan.rows_by_state():
        code = scan.codes.code(state)
        if code is None or code in examples:
            continue
        row = int(np.argmax(states == state))
        at = int(np.searchsorted(ends, row, side="right"))
        examples[code] = _example(storage, scan.parts[at], row - int(ends[at]))
    return examples


def _example(storage: Storage, part: Part, row: int) -> FailureExample:
    """The failure in a row of a part, counted from its end (-1 is the last)."""
    file = open_part(storage, part)
    with readable(storage, part):
        table = file.read(columns=["id", "error.message"], use_threads=False)
    record = table.slice(table.num_rows + row, 1).to_pylist()[0]
    return FailureExample(record["id"], (record["error"] or {}).get("message") or "")
