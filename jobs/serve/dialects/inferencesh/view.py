"""Tasks and files as inference.sh's clients see them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jobs.serve.dialects.base import moment
from jobs.serve.dialects.error_texts import error_text
from jobs.serve.service import Service
from jobs.serve.store.database import now_ms
from jobs.serve.store.files import File
from jobs.serve.task import Output, State, Task
from pipelines.worker.steps import Steps

NAMESPACE, NAME = "infsh", "bytedance-uso"
VERSION_ID = "current"
_LOG_OF_RUN = 1


async def task_view(task: Task, service: Service, base_url: str) -> dict[str, Any]:
    """Return a task: always the whole of it, because some clients do not merge parts."""
    events = await service.tasks.events_of(task.id)
    return {
        "id": task.id,
        "short_id": task.id[:8],
        "created_at": moment(task.created_at),
        "updated_at": moment(task.updated_at),
        "deleted_at": None,
        "status": int(task.state),
        "status_text": task.state.name.lower(),
        "app_id": f"{NAMESPACE}/{NAME}",
        "app_version_id": VERSION_ID,
        "function": "run",
        "infra": "private",
        "input": dict(task.given),
        "output": output_view(task, service, base_url),
        "error": error_text(task.error_code, task.error) or None,
        "logs": _logs(service.progress.steps(task)),
        "events": [
            {
                "id": f"{task.id}-{place}",
                "task_id": task.id,
                "status": int(state),
                "event_time": moment(at),
                "created_at": moment(at),
            }
            for place, (state, at) in enumerate(events)
        ],
        "webhook": task.webhook,
        "session_id": task.extras.get("session_id"),
        "progress": service.progress.percent(task),
    }


async def watched_view(task: Task, service: Service, base_url: str) -> dict[str, Any]:
    """Return a task with two fields of our own: `queue_position` and `steps`.

    They are the number of tasks before one that waits, and the steps of one that is generated.
    """
    view = await task_view(task, service, base_url)
    place, steps = await service.queue.before(task), service.progress.steps(task)
    if place is not None:
        view["queue_position"] = place
    if steps is not None:
        view["steps"] = steps._asdict()
    return view


def output_view(task: Task, service: Service, base_url: str) -> dict[str, Any] | None:
    """Return the images of a task, blurred if they were withheld; None if it has none.

    An image that the safety check has seen is true or false in `has_nsfw_contents`.
    """
    if not task.outputs:
        return None
    images = [_image(output, task, service, base_url) for output in task.outputs]
    view: dict[str, Any] = {"generated_image": images[0]}
    if len(images) > 1:
        view["images"] = images
    flags = [output.nsfw for output in task.outputs]
    return view if None in flags else {**view, "has_nsfw_contents": flags}


def timings_view(task: Task, events: Sequence[tuple[State, int]]) -> dict[str, Any]:
    """Return the time between the states of a task, and of its two phases."""
    times = [at for _, at in events] + [task.ended_at or now_ms()]
    spans = zip(events, times[1:], strict=True)
    started_at = task.started_at or times[-1]
    phases = (("queued", task.created_at, started_at), ("running", started_at, times[-1]))
    return {
        "task_id": task.id,
        "status": int(task.state),
        **_span("total_duration", times[-1] - task.created_at),
        "groups": [
            {"label": label, "start_at": moment(start), "end_at": moment(end)}
            | _span("duration", end - start)
            for label, start, end in phases
        ],
        "events": [
            {"status": state.name.lower(), "timestamp": moment(at)}
            | ({} if state.ended else _span("duration", end - at))
            for (state, at), end in spans
        ],
    }


def _span(name: str, milliseconds: int) -> dict[str, Any]:
    return {name: f"{milliseconds / 1000:.3f}s", f"{name}_ms": milliseconds}


def file_view(file: File, service: Service, base_url: str) -> dict[str, Any]:
    """Return a file with its URL."""
    return {
        "id": file.id,
        "created_at": moment(file.created_at),
        "updated_at": moment(file.created_at),
        "role": file.role,
        "uri": file_url(file, service, base_url),
        "filename": file.filename,
        "content_type": file.content_type,
        "size": file.size,
        "path": "",
    }


def file_url(file: File, service: Service, base_url: str) -> str:
    """Return the URL of a file, which stays the same until it expires."""
    return service.links.read(base_url, file.id, file.filename, file.expires_at // 1000)


def _image(output: Output, task: Task, service: Service, base_url: str) -> dict[str, Any]:
    return {
        "uri": service.url(output, task, base_url),
        "filename": output.filename,
        "content_type": output.content_type,
        "size": output.size,
    }


def _logs(steps: Steps | None) -> list[dict[str, Any]]:
    """Return the steps as a line of the log: Python's client hands on no other progress."""
    if steps is None:
        return []
    return [{"log_type": _LOG_OF_RUN, "content": f"step {steps.done} of {steps.total}"}]
