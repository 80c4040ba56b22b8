"""Passes cancels from the event loop on to the dispatcher, in the dispatcher's thread."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from jobs.serve.lanes import RowLane
from jobs.serve.service import Service
from pipelines.dispatch.dispatcher import Dispatcher
from pipelines.dispatch.tasks import Settled
from pipelines.rows import Outcome


def pass_on_cancels(
    service: Service, lanes: Iterable[RowLane], dispatcher: Dispatcher
) -> Iterator[Settled]:
    """Cancel tasks and rows of runs, and yield the ones that were still in a lane.

    The cancel of a task whose row is not here yet stays for the next look.
    """
    for task_id in tuple(service.cancels):
        entry = next((each for lane in lanes if (each := lane.remove(task_id))), None)
        if entry is not None:
            yield Settled(entry, Outcome(row_id=task_id, cancelled=True), attempt=0)
        if entry is not None or dispatcher.cancel(task_id):
            service.cancels.discard(task_id)
    while service.runs.drops:
        row_id, on_workers = service.runs.drops.popleft()
        dispatcher.cancel(row_id, on_workers=on_workers)
