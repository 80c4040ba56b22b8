"""What is recorded of each row, by the key of its id: 33 bytes a row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from pipelines.ledger.done_rows import DoneRows
from pipelines.ledger.key_index import KeyTable, row_key
from pipelines.ledger.row_state import STATE_DTYPE, Recorded, StateCodes, States
from pipelines.ledger.scan import Scan


class DoneIndex:
    """The rows on record; made from a scan, which is used up, then told of each new record."""

    def __init__(self, scan: Scan) -> None:
        self.codes: StateCodes = scan.codes
        self._table = KeyTable(STATE_DTYPE)
        self._rows_by_state = Counter(scan.rows_by_state())
        self._table.load(scan.states)

    def __len__(self) -> int:
        return len(self._table)

    @property
    def rows_by_state(self) -> dict[int, int]:
        """How many rows are in each state."""
        return dict(self._rows_by_state)

    def lookup(self, row_ids: Sequence[str]) -> list[Recorded | None]:
        """What is recorded of each row; None: nothing."""
        known, states = self._table.get([row_key(row_id) for row_id in row_ids])
        return [
            self.codes.recorded(state, fingerprint) if is_known else None
            for is_known, (fingerprint, _, state) in zip(
                known.tolist(), states.tolist(), strict=True
            )
        ]

    def done_rows(self, *, retry_failed: bool) -> DoneRows:
        """For one pass over the manifest, the rows to leave out; see `DoneRows`."""
        return DoneRows(self._table.largest, retry_failed=retry_failed)

    def put(self, row_ids: Sequence[str], states: States) -> int:
        """Take new records, `[n]`; returns how many of them replace older ones."""
        latest = {row_key(row_id): row for row, row_id in enumerate(row_ids)}
        keys, rows = list(latest), list(latest.values())
        known, before = self._table.get(keys)
        self._rows_by_state.subtract(before["state"][known].tolist())
        self._rows_by_state.update(states["state"][rows].tolist())
        self._table.put(keys, states[rows])
        return int(known.sum()) + len(row_ids) - len(keys)
