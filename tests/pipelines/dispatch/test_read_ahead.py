"""The number of rows that the dispatcher reads ahead."""

from __future__ import annotations

from pipelines.dispatch.dispatcher import Dispatcher
from pipelines.dispatch.feeder import AHEAD_BYTES
from pipelines.dispatch.tasks import DispatchPolicy
from pipelines.rows import Entry, ManifestRow
from tests.pipelines.simulated_pool import ListSource, SimulatedPool
from uso_core.request import Parameters

WORKERS = 4
POLICY = DispatchPolicy(rows_in_flight=2)


class TwoByTwo(ListSource):
    """Rows that become ready two at a time."""

    def take(self, most: int) -> list[Entry[ManifestRow]]:
        return super().take(min(most, 2))


def most_read_ahead(content: bytes) -> int:
    """The most rows that were read ahead in a run of 60, each with its own content image."""
    rows = [ManifestRow(f"r{n}", "", content, (), Parameters(), "f") for n in range(60)]
    pool = SimulatedPool(WORKERS)
    dispatcher = Dispatcher(pool, TwoByTwo(rows), POLICY, clock=lambda: pool.now)
    settled, most = 0, 0
    while not dispatcher.done:
        settled += len(list(dispatcher.step(10)))
        most = max(most, dispatcher.not_given_out)
    assert settled == len(rows)
    return most


def test_enough_rows_are_at_hand_to_choose_from() -> None:
    assert most_read_ahead(b"small") >= WORKERS * 2


def test_rows_that_hold_images_are_bounded_by_their_bytes() -> None:
    third = bytes(AHEAD_BYTES // 3 + 1)  # the same in each row, so that the test is small
    assert 1 <= most_read_ahead(third) <= 3 + 1
