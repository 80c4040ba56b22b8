"""Chooses the records to draw again."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from pipelines.errors import ReplayError
from pipelines.ledger.records import Records
from pipelines.record import columns_of_run

_MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Choice:
    """The rows to draw again.

    Attributes:
        ids: their ids; empty: all completed rows.
        sample: draw only this many of them; None: all.
        seed: another seed chooses another sample.
        run_id: only rows that this run recorded; None: of all runs.
    """

    ids: Sequence[str] = ()
    sample: int | None = None
    seed: int = 0
    run_id: str | None = None


@dataclass(frozen=True, slots=True)
class ChosenRecords:
    """The completed records that were chosen.

    Attributes:
        runs: number of rows by the run that recorded them.
        left_out: failed rows among the ones that were asked for; they have no image.
        ids: ids of the rows; None: all completed ones.
    """

    runs: Counter[str]
    left_out: int
    ids: frozenset[str] | None

    @property
    def rows(self) -> int:
        """Number of rows to draw."""
        return self.runs.total()

    def records(self, records: Records, runs: frozenset[str]) -> Iterator[dict[str, Any]]:
        """Yield the records of some runs, without the user's own columns.

        Raises:
            LedgerError, StorageError: the records cannot be read.
        """
        for batch in records.batches(columns_of_run(records.schema), batch_rows=256):
            for record in batch.to_pylist():
                is_wanted = record["status"] == "completed" and record["run_id"] in runs
                if is_wanted and (self.ids is None or record["id"] in self.ids):
                    yield record


def choose(records: Records, choice: Choice) -> ChosenRecords:
    """Choose the records. Memory grows with the sample, not with the output.

    Raises:
        ReplayError: an id has no record, or no record is completed.
        LedgerError, StorageError: the records cannot be read.
    """
    wanted = frozenset(choice.ids)
    found: dict[str, str] = {}
    runs: Counter[str] = Counter()
    left_out = 0
    unknown = set(wanted)

    def keys() -> Iterator[tuple[bytes, str, str]]:
        nonlocal left_out
        for batch in records.batches(["id", "status", "run_id"]):
            columns = (batch[name].to_pylist() for name in ("id", "status", "run_id"))
            for row_id, status, run_id in zip(*columns, strict=True):
                if (wanted and row_id not in wanted) or choice.run_id not in (None, run_id):
                    continue
                unknown.discard(row_id)
                if status == "completed":
                    yield _key(choice.seed, row_id), row_id, run_id
                else:
                    left_out += 1

    is_all = not wanted and choice.sample is None
    if is_all:
        runs.update(run_id for _, _, run_id in keys())
    else:
        most = len(wanted) if choice.sample is None else choice.sample
        found = {row_id: run_id for _, row_id, run_id in heapq.nsmallest(most, keys())}
        runs.update(found.values())
    if unknown:
        named = ", ".join(map(repr, sorted(unknown)[:_MOST_NAMED]))
        more = f" and {len(unknown) - _MOST_NAMED:,} more" if len(unknown) > _MOST_NAMED else ""
        raise ReplayError(f"no record has the id {named}{more}; uso status OUTPUT --rows lists ids")
    return ChosenRecords(runs, left_out, None if is_all else frozenset(found))


def _key(seed: int, row_id: str) -> bytes:
    return blake2b(f"replay {seed}:{row_id}".encode(errors="surrogatepass"), digest_size=8).digest()
