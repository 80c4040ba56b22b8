"""The steps done of tasks on actors. In memory: a database would sync its disk for each step."""

from __future__ import annotations

from collections.abc import Mapping

from jobs.serve.changes import Changes
from jobs.serve.task import State, Task
from pipelines.worker.steps import Steps

_MOST = 99  # per cent, before the end


class Progress:
    """The last known steps of each task."""

    def __init__(self, changes: Changes) -> None:
        """Tell `changes` of new steps."""
        self._changes = changes
        self._steps: Mapping[str, Steps] = {}

    def note(self, steps: Mapping[str, Steps]) -> None:
        """Replace all steps, and wake those who wait for a task with new ones."""
        before, self._steps = self._steps, steps
        for task_id, now in steps.items():
            if before.get(task_id) != now:
                self._changes.tell(task_id)

    def steps(self, task: Task) -> Steps | None:
        """Return the steps of a task; None unless it is being generated."""
        generates = task.state in (State.RUNNING, State.CANCELLING)
        return self._steps.get(task.id) if generates else None

    def percent(self, task: Task) -> int:
        """Return the progress of a task, 0 to 100; 100 only for one that is completed."""
        steps = self.steps(task)
        return task.progress if steps is None else min(_MOST, 100 * steps.done // steps.total)
