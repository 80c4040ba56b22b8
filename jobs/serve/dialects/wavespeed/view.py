"""Predictions as WaveSpeed's clients see them."""

from __future__ import annotations

from typing import Any

from jobs.serve.dialects.base import moment
from jobs.serve.dialects.error_texts import error_text
from jobs.serve.service import Service
from jobs.serve.task import State, Task

MODEL = "bytedance/uso"
_STATUS = {
    State.RECEIVED: "created",
    State.QUEUED: "created",
    State.COMPLETED: "completed",
    State.FAILED: "failed",
    State.CANCELLED: "cancelled",
}
_PROCESSING = "processing"
STATES = {
    name: tuple(state for state in State if _STATUS.get(state, _PROCESSING) == name)
    for name in ("created", _PROCESSING, "completed", "failed", "cancelled")
}
"""The states of each status."""
_MODERATED, _MEDIA_UNREACHABLE, _TASK_FAILED, _UNAVAILABLE = 1200, 1402, 1405, 5003
_CODES = {
    "unsafe_content": _MODERATED,
    "uri_not_found": _MEDIA_UNREACHABLE,
    "uri_forbidden": _MEDIA_UNREACHABLE,
    "uri_timeout": _MEDIA_UNREACHABLE,
    "uri_too_large": _MEDIA_UNREACHABLE,
    "uri_refused": _MEDIA_UNREACHABLE,
    "image_corrupt": _MEDIA_UNREACHABLE,
    "image_unsupported": _MEDIA_UNREACHABLE,
    "image_too_large": _MEDIA_UNREACHABLE,
    "storage_write": _UNAVAILABLE,
}


def success(data: object) -> dict[str, Any]:
    """Return an answer with HTTP status 200."""
    return {"code": 200, "message": "success", "data": data}


def prediction(task: Task, service: Service, base_url: str) -> dict[str, Any]:
    """Return a task as a prediction; one whose images were withheld has them blurred."""
    return {
        "id": task.id,
        "model": MODEL,
        "outputs": list(service.urls(task, base_url)),
        "urls": {"get": f"{base_url}/api/v3/predictions/{task.id}/result"},
        "has_nsfw_contents": [output.nsfw is True for output in task.outputs],
        "status": _STATUS.get(task.state, _PROCESSING),
        "created_at": moment(task.created_at),
        "error": error_text(task.error_code, task.error),
        "code": _CODES.get(task.error_code, _TASK_FAILED) if task.error_code else 0,
        "executionTime": task.inference_ms,
        "timings": {"inference": task.inference_ms},
    }
