"""Interactive requests beside a full batch lane; steps and cancels of a request under way."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jobs.serve.task import Drawing, NewTask, State, Task
from tests.jobs.serve.running import Running, config_for, running
from tests.pipelines.tiny_models import Misbehaving
from tests.pipelines.worker.rendering import WAIT_S, until
from uso_core.model.conditioning import Conditioning
from uso_core.model.denoise import Latents, OnStep

STEPS = 6


class SteppedPipeline(Misbehaving):
    """The tiny model; each step waits for a turn that the test gives."""

    def __init__(self) -> None:
        super().__init__()
        self.turns = threading.Semaphore(0)
        self.free = False
        self.steps = 0

    def denoise_batch(
        self,
        conditionings: Sequence[Conditioning],
        seeds: Sequence[int],
        on_step: OnStep | None = None,
    ) -> list[Latents]:
        def stepped(done: int, total: int) -> None:
            self.steps += 1
            if on_step is not None:
                on_step(done, total)
            if not self.free:
                assert self.turns.acquire(timeout=WAIT_S)

        return super().denoise_batch(conditionings, seeds, stepped)

    def let_go(self) -> None:
        self.free = True
        self.turns.release()


@contextmanager
def stepped(folder: Path) -> Iterator[tuple[Running, SteppedPipeline]]:
    pipeline = SteppedPipeline()
    with running(config_for(folder), pipeline=pipeline) as server:
        try:
            yield server, pipeline
        finally:
            pipeline.let_go()


def accept(server: Running, seed: int, lane: Any = "interactive") -> Task:
    parameters = server.service.parameters(
        {"seed": seed, "num_steps": STEPS, "width": 32, "height": 32}
    )
    drawing = Drawing(prompt=f"number {seed}", parameters=parameters)

    async def accepted() -> Task:
        key = (await server.service.keys.all())[0]
        new = NewTask(key_id=key.id, dialect="inferencesh", drawing=drawing, lane=lane)
        return await server.service.accept(key, new)

    task: Task = server.call(accepted())
    return task


def ended(server: Running, task: Task) -> Task:
    result: Task = server.call(server.service.wait(task, WAIT_S))
    return result


def view(server: Running, task: Task) -> dict[str, Any]:
    with server.client() as client:
        found: dict[str, Any] = client.get(f"/tasks/{task.id}").json()["data"]
        return found


def test_an_interactive_request_waits_for_no_more_than_the_image_under_way(tmp_path: Path) -> None:
    with stepped(tmp_path) as (server, pipeline):
        batch = [accept(server, seed, "batch") for seed in range(100, 106)]
        until(lambda: pipeline.steps == 1 and len(server.rows) >= 3)  # the actor holds several rows
        first = list(pipeline.denoised)
        urgent = [accept(server, seed) for seed in (1, 2)]
        until(lambda: {task.id for task in urgent} <= {row.id for row in server.rows})
        pipeline.let_go()
        for task in [*urgent, *batch]:
            assert ended(server, task).state is State.COMPLETED
        assert len(first) == 1
        assert pipeline.denoised[1:3] == [1, 2]
        assert sorted(pipeline.denoised) == [1, 2, *range(100, 106)]


def test_the_steps_of_a_request_are_told(tmp_path: Path) -> None:
    with stepped(tmp_path) as (server, pipeline):
        task = accept(server, 5)
        pipeline.turns.release()
        pipeline.turns.release()
        until(lambda: view(server, task).get("steps") == {"done": 3, "total": STEPS})
        shown = view(server, task)
        assert (shown["status"], shown["progress"]) == (7, 50)
        assert shown["logs"][0]["content"] == f"step 3 of {STEPS}"
        lines = []
        with server.client() as client, client.stream("GET", f"/tasks/{task.id}/stream") as stream:
            for line in stream.iter_lines():
                lines.append(json.loads(line))
                if len(lines) == 1:
                    pipeline.turns.release()
                if lines[-1].get("steps", {}).get("done") == 4:
                    pipeline.let_go()
        assert [line["progress"] for line in lines][:2] == [50, 66]
        assert (lines[-1]["status"], lines[-1]["progress"]) == (10, 100)
        assert "steps" not in lines[-1]


def test_a_request_is_cancelled_at_its_next_step(tmp_path: Path) -> None:
    with stepped(tmp_path) as (server, pipeline):
        task, other = accept(server, 5), accept(server, 6)
        until(lambda: pipeline.steps == 1 and len(server.rows) == 2)
        with server.client() as client:
            answer = client.post(f"/tasks/{task.id}/cancel").json()["data"]
        assert answer["status"] == State.CANCELLING
        until(lambda: not server.service.cancels)
        pipeline.let_go()
        assert ended(server, task).state is State.CANCELLED
        assert ended(server, other).state is State.COMPLETED
        assert pipeline.steps == 2 + STEPS
        assert view(server, task)["output"] is None
