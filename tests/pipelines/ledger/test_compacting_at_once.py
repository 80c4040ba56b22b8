"""Two drivers compact one output, and one of them halts for any time between two of its steps."""

from __future__ import annotations

import contextlib
import random
import secrets
from collections.abc import Callable

import pytest

from pipelines.errors import LeaseLostError
from pipelines.ledger import compaction
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.scan import scan_ledger
from pipelines.storage.storage import Storage
from tests.pipelines.records import SCHEMA, completed, stored


class Halting(Storage):
    """A store whose user halts before its n-th change, while something else happens."""

    def __init__(self, url: str, *, halts_at: int, meanwhile: Callable[[], None]) -> None:
        super().__init__(url, {})
        self.left = halts_at
        self._meanwhile = meanwhile

    def _step(self) -> None:
        self.left -= 1
        if self.left == 0:
            self._meanwhile()

    def create(self, path: str, data: bytes) -> bool:
        self._step()
        return super().create(path, data)

    def delete(self, path: str) -> None:
        self._step()
        super().delete(path)


def fill(storage: Storage, dice: random.Random) -> list[str]:
    """Write parts of all sizes, with copies of records as killed compactions leave them."""
    names = [f"r{number:02}" for number in range(14)]
    at: dict[str, int] = dict.fromkeys(names, 0)
    for turn in range(8):
        ids = dice.sample(names, dice.randint(1, 6))
        for name in ids:
            at[name] = at[name] if dice.random() < 0.7 else turn
        Ledger.open(storage, SCHEMA).append([completed(name, at=at[name]) for name in ids])
    return [row["id"] for row in stored(storage)]


@pytest.mark.parametrize("fenced", [False, True], ids=["no fences", "fences"])
def test_nothing_is_lost_or_doubled(monkeypatch: pytest.MonkeyPatch, fenced: bool) -> None:
    monkeypatch.setattr(compaction, "MAX_ROWS", 10)
    dice = random.Random(4)  # with it, names by hash lost four records
    template = Storage.at(f"memory://{secrets.token_hex(8)}")
    filled = fill(template, dice)
    parts = {path: template.read(path) for path in template.list("records")}
    for halts_at in range(1, 30):
        url = f"memory://{secrets.token_hex(8)}"
        storage = Storage.at(url)
        for path, data in parts.items():
            storage.write(path, data)
        expected = list(filled)

        def other_driver(storage: Storage = storage, expected: list[str] = expected) -> None:
            ledger = Ledger.open(storage, SCHEMA, taken_from="run-1")
            if dice.random() < 0.5:
                ledger.append([completed("s")])
                expected.append("s")
            ledger.compact()

        halting = Halting(url, halts_at=0, meanwhile=other_driver)
        if fenced:
            storage.check_writable()
            halting.check_writable()
        paused = Ledger.open(halting, SCHEMA, "run-1")
        halting.left = halts_at
        with contextlib.suppress(LeaseLostError):
            paused.compact()
        assert [row["id"] for row in stored(storage)] == expected
        rows = sum(scan_ledger(storage).num_rows)
        assert rows == len(expected) or not fenced
        Ledger.open(storage, SCHEMA).compact()
        assert [row["id"] for row in stored(storage)] == expected
        assert sum(scan_ledger(storage).num_rows) == len(expected)
        if halting.left > 0:
            break
    assert 5 < halts_at < 29
