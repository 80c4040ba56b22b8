"""`GET /tasks/{id}/stream`: the task at each change, as NDJSON or server-sent events."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

from fastapi import APIRouter, Request
from starlette.responses import Response, StreamingResponse

from jobs.serve.dialects.base import AsKey, BaseUrl, WithService
from jobs.serve.dialects.inferencesh.view import watched_view
from jobs.serve.service import Service
from jobs.serve.task import Task

router = APIRouter(tags=["inference.sh"])

_EVERY_S = 8.0
"""A client that gets no event for 10 s, a heartbeat aside, counts it as a failure."""
_HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


class StreamBrokenError(Exception):
    """Breaks the connection of a stream: its client takes a clean end for the task's."""


@router.get("/tasks/{task_id}/stream")
async def stream(
    task_id: str, request: Request, key: AsKey, service: WithService, base_url: BaseUrl
) -> Response:
    """Send the whole task at once, at each change, every few seconds, and at its end."""
    service.quota.check_open(key)
    return stream_of(request, await service.task(task_id, key), service, base_url)


def stream_of(request: Request, task: Task, service: Service, base_url: str) -> Response:
    """Return the stream of a task, in the form that the request accepts."""
    is_sse = "text/event-stream" in request.headers.get("accept", "")
    # Python's client asks again after a clean end. Others wait for ever, and notice a broken one.
    ends_cleanly = request.headers.get("user-agent", "").startswith("inference-sdk-py/")
    lines = _lines(task, service, base_url, is_sse=is_sse, ends_cleanly=ends_cleanly)
    media_type = "text/event-stream" if is_sse else "application/x-ndjson"
    return StreamingResponse(lines, media_type=media_type, headers=_HEADERS)


async def _lines(
    task: Task, service: Service, base_url: str, *, is_sse: bool, ends_cleanly: bool
) -> AsyncIterator[str]:
    number = 0
    with service.quota.open(task.key_id), service.changes.watching(task.id) as watch:
        while True:
            now = await service.tasks.get(task.id)
            if now is None:  # deleted meanwhile
                break
            text = json.dumps(await watched_view(now, service, base_url), separators=(",", ":"))
            yield f"id: {number}\ndata: {text}\n\n" if is_sse else f"{text}\n"
            number += 1
            if now.state.ended:
                return
            if service.changes.closing:
                break
            await watch.changed(_EVERY_S)
    if not ends_cleanly:
        raise StreamBrokenError
