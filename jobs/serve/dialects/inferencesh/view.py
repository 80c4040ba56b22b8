"""Tasks and files as inference.sh's clients see them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jobs.serve.dialects.base import moment
from jobs.serve.service import Service
from jobs.serve.store.files import File
from jobs.serve.task import Output, State, Task

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
        "error": task.error or None,
        "logs": _logs(task),
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
        "progress": task.progress,
    }


async def watched_view(task: Task, service: Service, base_url: str) -> dict[str, Any]:
    """Return a task, while it waits with its place in the queue: the number of tasks before it."""
    view = await task_view(task, service, base_url)
    place = await service.queue.before(task)
    return view if place is None else {**view, "queue_position": place}


def output_view(task: Task, service: Service, base_url: str) -> dict[str, Any] | None:
    """Return the output of a completed task; None for any other."""
    if task.state is not State.COMPLETED:
        return None
    images = [_image(output, task, service, base_url) for output in task.outputs]
    return {"generated_image": images[0], **({"images": images} if len(images) > 1 else {})}


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


def page(items: Sequence[Any], next_cursor: str, limit: int) -> dict[str, Any]:
    """Return a page of a list."""
    return {
        "items": list(items),
        "next_cursor": next_cursor,
        "prev_cursor": "",
        "has_next": bool(next_cursor),
        "has_previous": False,
        "items_per_page": limit,
    }


def _image(output: Output, task: Task, service: Service, base_url: str) -> dict[str, Any]:
    return {
        "uri": service.url(output, task, base_url),
        "filename": output.filename,
        "content_type": output.content_type,
        "size": output.size,
    }


def _logs(task: Task) -> list[dict[str, Any]]:
    """Return the progress as a line of the log: Python's client hands on no other progress."""
    if not task.progress or task.state.ended:
        return []
    return [{"log_type": _LOG_OF_RUN, "content": f"progress {task.progress} %"}]
