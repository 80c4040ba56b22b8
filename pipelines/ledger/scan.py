"""One pass over a few columns of all records: finds the winning records and their states."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt

from pipelines.errors import LedgerError
from pipelines.in_order import in_order
from pipelines.keys.column import Column
from pipelines.keys.index import SortedKeys, halves_of, row_keys
from pipelines.ledger.counts import FailureExample, LedgerCounts, count_states
from pipelines.ledger.dedup import winning_rows
from pipelines.ledger.left_out import LeftOut, ManifestLook, no_keys, read_left_out
from pipelines.ledger.part_checks import check_values
from pipelines.ledger.parts import Part, PartVanishedError, list_parts, open_part, readable
from pipelines.ledger.row_state import STATE_DTYPE, StateCodes, is_completed, states_of
from pipelines.storage.storage import Storage

T = TypeVar("T")

_COLUMNS = (
    "id",
    "status",
    "fingerprint",
    "source_digest",
    "columns_digest",
    "created_at",
    "error.code",
    "error.retryable",
)
_READERS = 8
_MAX_AHEAD = 16  # parts read but not yet processed
_MAX_AHEAD_BYTES = 16 * 2**20  # size of those parts: bounds the memory
_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Scan:
    """The result of one pass over the parts.

    Attributes:
        parts: sorted by name.
        num_rows: number of rows of each part.
        origins: the distinct schemas of parts with a winning row or no row, each with the URI of a
            part that has it.
        wins: `[n]`, True for the winning rows (see `dedup`), over all parts in order.
        counting: `[n]`, True for the winning rows that are not left out.
        states: keys of the winning rows, with payloads of `STATE_DTYPE`.
        left_out: `[m]`, True for the winning rows that do not count, see `LeftOut`.
        latest_us: time of the latest record, in microseconds since the epoch; 0 without records.
        codes: meaning of the states.
        examples: one counting row for each failure code.
        look: the pass over the manifest after which rows were left out; None: none are.
    """

    parts: Sequence[Part]
    num_rows: Sequence[int]
    origins: Sequence[tuple[str, pa.Schema]]
    wins: npt.NDArray[np.bool_]
    counting: npt.NDArray[np.bool_]
    states: SortedKeys
    left_out: npt.NDArray[np.bool_]
    latest_us: int
    codes: StateCodes
    examples: Mapping[str, FailureExample]
    look: ManifestLook | None

    def by_part(self, mask: npt.NDArray[np.bool_]) -> Iterator[tuple[Part, npt.NDArray[np.bool_]]]:
        """Yield each part with its piece of a mask over all rows, such as `wins`."""
        ends = np.cumsum(self.num_rows, dtype=np.int64).tolist()
        for part, rows, end in zip(self.parts, self.num_rows, ends, strict=True):
            yield part, mask[end - rows : end]

    def counts(self) -> LedgerCounts:
        """Return the numbers of counting rows, by outcome, and of those left out."""
        rows = rows_by_state(self.states.payload["state"])
        left_out = rows_by_state(self.states.payload["state"][self.left_out])
        return count_states(rows, left_out, self.codes, self.examples, self.look)


def rows_by_state(states: npt.NDArray[np.uint8]) -> Counter[int]:
    """Return the number of rows in each state."""
    found, rows = np.unique(states, return_counts=True)
    return Counter(dict(zip(found.tolist(), rows.tolist(), strict=True)))


def scan_ledger(storage: Storage, left_out: LeftOut | None = None) -> Scan:
    """Scan all parts; start again if another process compacts in the meantime.

    Args:
        storage: the output folder.
        left_out: the records that do not count; None: as the output lists them.

    Raises:
        LedgerError: a part is damaged, or `records/` holds a foreign file.
        StorageError: the records cannot be read.
    """
    return unless_vanished(storage, lambda: _scan_all(storage, left_out))


def unless_vanished(storage: Storage, read: Callable[[], T]) -> T:
    """Return the result of `read`, which is called again if a part vanishes meanwhile.

    Raises:
        LedgerError: parts vanish each time.
    """
    again = Retrying(
        stop=stop_after_attempt(_ATTEMPTS),
        retry=retry_if_exception_type(PartVanishedError),
        reraise=True,
    )
    try:
        return again(read)
    except PartVanishedError as error:
        reason = "this part vanished while it was read; do not remove records during a run"
        raise LedgerError(storage.uri(str(error)), reason) from error


def _scan_all(storage: Storage, left_out: LeftOut | None) -> Scan:
    # The list first: a record that is pruned meanwhile is then in neither.
    left_out = read_left_out(storage) if left_out is None else left_out
    return scan_parts(storage, list_parts(storage), left_out)


def scan_parts(storage: Storage, parts: Sequence[Part], left_out: LeftOut | None = None) -> Scan:
    """Scan these parts, which must be sorted by name; without `left_out`, every record counts.

    Raises:
        PartVanishedError: a part no longer exists.
        LedgerError: a part is damaged, or is not a file of records.
    """
    found = _Collector(LeftOut(no_keys()) if left_out is None else left_out)
    for read in read_ahead(storage, parts):
        found.add(read)
    scan, first_rows = found.finish(parts)
    return replace(scan, examples=_examples(storage, scan, first_rows))


class PartColumns(NamedTuple):
    """The scanned columns of a part: ids, states, and times of the records."""

    uri: str
    schema: pa.Schema
    columns: pa.RecordBatch


def read_ahead(
    storage: Storage, parts: Sequence[Part], columns: Sequence[str] = _COLUMNS
) -> Iterator[PartColumns]:
    """Yield columns of each part, in order; threads read ahead to hide the storage's latency.

    Args:
        storage: the output folder.
        parts: the parts.
        columns: the names of the columns.

    Raises:
        PartVanishedError: a part no longer exists.
        LedgerError: a part is damaged, or is not a file of records.
    """
    return in_order(
        lambda part: _read(storage, part, columns),
        parts,
        _READERS,
        cost=lambda part: max(part.num_bytes, _MAX_AHEAD_BYTES // _MAX_AHEAD),
        budget=_MAX_AHEAD_BYTES,
    )


def _read(storage: Storage, part: Part, names: Sequence[str]) -> PartColumns:
    file = open_part(storage, part)
    with readable(storage, part):
        table = file.read(columns=list(names), use_threads=False)
    columns = [table[name].combine_chunks() for name in table.column_names]
    batch = pa.RecordBatch.from_arrays(columns, table.column_names)
    uri = storage.uri(part.path)
    check_values(uri, batch)
    return PartColumns(uri, file.schema_arrow, batch)


@dataclass(slots=True)
class _Collector:
    """The columns that a scan has read so far."""

    listed: LeftOut
    codes: StateCodes = field(default_factory=StateCodes)
    num_rows: list[int] = field(default_factory=list)
    origins: list[tuple[str, pa.Schema]] = field(default_factory=list)
    origin_of: list[int] = field(default_factory=list)
    high: Column = field(default_factory=lambda: Column(np.uint64))
    low: Column = field(default_factory=lambda: Column(np.uint64))
    created_at: Column = field(default_factory=lambda: Column(np.int64))
    states: Column = field(default_factory=lambda: Column(STATE_DTYPE))

    def add(self, read: PartColumns) -> None:
        """Add the rows of the next part."""
        columns = read.columns
        known = (at for at, (_, one) in enumerate(self.origins) if read.schema.equals(one))
        origin = next(known, len(self.origins))
        if origin == len(self.origins):
            self.origins.append((read.uri, read.schema))
        self.origin_of.append(origin)
        self.num_rows.append(len(columns))
        high, low = halves_of(row_keys(columns["id"].cast(pa.binary()).to_pylist()))
        self.high.extend(high)
        self.low.extend(low)
        self.created_at.extend(columns["created_at"].cast(pa.int64()).to_numpy())
        self.states.extend(states_of(columns, self.codes))

    def finish(self, parts: Sequence[Part]) -> tuple[Scan, dict[int, int]]:
        """Return the scan, without examples, and the position of one row of each state.

        The columns are sorted one at a time and freed, to limit the memory for 10⁷ rows.
        """
        pa.default_memory_pool().release_unused()
        order = np.argsort(self.high.values)
        high = self.high.permuted(order)
        low = self.low.permuted(order)
        completed = is_completed(self.states.values["state"])[order]
        latest_us = int(self.created_at.values.max(initial=0))
        times = self.created_at.permuted(order)
        sorted_wins = winning_rows(high, low, times, completed, order)
        is_old = times <= self.listed.until_us
        del times
        states = self.states.permuted(order)
        wins = np.empty(len(order), bool)
        wins[order] = sorted_wins
        if not sorted_wins.all():
            high, low = high[sorted_wins], low[sorted_wins]
            states, order = states[sorted_wins], order[sorted_wins]
            is_old = is_old[sorted_wins]
        keys = SortedKeys(high, low, states)
        left_out = self.listed.mask_of(keys, is_old)
        counting = wins
        if left_out.any():
            counting = wins.copy()
            counting[order[left_out]] = False
        scan = Scan(
            parts=tuple(parts),
            num_rows=self.num_rows,
            origins=self._origins(wins),
            wins=wins,
            counting=counting,
            states=keys,
            left_out=left_out,
            latest_us=latest_us,
            codes=self.codes,
            examples={},
            look=self.listed.look,
        )
        return scan, _first_rows(states["state"], left_out, order)

    def _origins(self, wins: npt.NDArray[np.bool_]) -> list[tuple[str, pa.Schema]]:
        """Return the origins whose parts hold a winning row, or no row: others do not count."""
        ends = np.cumsum(self.num_rows, dtype=np.int64).tolist()
        parts = zip(self.origin_of, self.num_rows, ends, strict=True)
        used = {origin for origin, rows, end in parts if not rows or wins[end - rows : end].any()}
        return [self.origins[origin] for origin in sorted(used)]


def _first_rows(
    states: npt.NDArray[np.uint8],
    left_out: npt.NDArray[np.bool_],
    order: npt.NDArray[np.int64],
) -> dict[int, int]:
    """Return the position of one counting row of each state."""
    shown = np.where(left_out, 0, states) if left_out.any() else states  # no state is 0
    found = np.unique(shown).tolist()
    return {state: int(order[np.argmax(shown == state)]) for state in found if state}


def _examples(
    storage: Storage, scan: Scan, first_rows: Mapping[int, int]
) -> dict[str, FailureExample]:
    """Read one row of each failure code; only messages are read again."""
    examples: dict[str, FailureExample] = {}
    ends = np.cumsum(scan.num_rows, dtype=np.int64)
    for state, row in first_rows.items():
        code = scan.codes.code(state)
        if code is not None and code not in examples:
            at = int(np.searchsorted(ends, row, side="right"))
            examples[code] = read_example(storage, scan.parts[at], row - int(ends[at]))
    return examples


def read_example(storage: Storage, part: Part, row: int) -> FailureExample:
    """Read the failure in a row of a part, counted from its end (-1 is the last)."""
    file = open_part(storage, part)
    with readable(storage, part):
        table = file.read(columns=["id", "error.message"], use_threads=False)
    record = table.slice(table.num_rows + row, 1).to_pylist()[0]
    return FailureExample(record["id"], (record["error"] or {}).get("message") or "")
