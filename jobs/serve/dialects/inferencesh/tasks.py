"""Tasks: get, status, cancel, delete, list, files and logs."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from jobs.serve.dialects.base import AsKey, BaseUrl, WithService, json_object, moment
from jobs.serve.dialects.inferencesh.envelope import success
from jobs.serve.dialects.inferencesh.view import file_view, page, task_view, watched_view
from jobs.serve.errors import ApiError

router = APIRouter(prefix="/tasks", tags=["inference.sh"])

MOST_ON_A_PAGE = 100


@router.get("/{task_id}")
async def get(
    task_id: str, request: Request, key: AsKey, service: WithService, base_url: BaseUrl
) -> Response:
    """Return a task."""
    task = await service.task(task_id, key)
    return success(request, await watched_view(task, service, base_url))


@router.get("/{task_id}/status")
async def status(task_id: str, request: Request, key: AsKey, service: WithService) -> Response:
    """Return the state of a task."""
    task = await service.task(task_id, key)
    updated_at = moment(task.updated_at)
    return success(request, {"id": task.id, "status": int(task.state), "updated_at": updated_at})


@router.post("/{task_id}/cancel")
async def cancel(
    task_id: str, request: Request, key: AsKey, service: WithService, base_url: BaseUrl
) -> Response:
    """Cancel a task; one that has ended stays as it is."""
    task = await service.cancel(await service.task(task_id, key))
    return success(request, await task_view(task, service, base_url))


@router.delete("/{task_id}", status_code=204)
async def delete(task_id: str, request: Request, key: AsKey, service: WithService) -> None:
    """Delete a task that has ended; with `?files=true`, its images, too."""
    task = await service.task(task_id, key)
    if not task.state.ended:
        raise ApiError(409, "this task has not ended; cancel it first")
    await service.delete(task, with_files=request.query_params.get("files") == "true")


@router.get("/{task_id}/files")
async def files(
    task_id: str, request: Request, key: AsKey, service: WithService, base_url: BaseUrl
) -> Response:
    """Return the files of a task, of one role with `?role=input` or `output`."""
    task = await service.task(task_id, key)
    role = request.query_params.get("role")
    found = await service.files_of(task)
    views = [file_view(file, service, base_url) for file in found if role in (None, file.role)]
    return success(request, views)


@router.delete("/{task_id}/files")
async def delete_files(
    task_id: str, request: Request, key: AsKey, service: WithService
) -> Response:
    """Delete the files of a task that has ended."""
    task = await service.task(task_id, key)
    if not task.state.ended:
        raise ApiError(409, "this task has not ended; cancel it first")
    role = request.query_params.get("role")
    chosen = [file for file in await service.files_of(task) if role in (None, file.role)]
    await service.files.delete(chosen)
    return success(request, {"deleted": [file.id for file in chosen], "skipped": []})


@router.get("/{task_id}/logs")
async def logs(
    task_id: str, request: Request, key: AsKey, service: WithService, base_url: BaseUrl
) -> Response:
    """Return the events and the log of a task."""
    view = await task_view(await service.task(task_id, key), service, base_url)
    names = ("status", "events", "logs")
    return success(request, {"task_id": view["id"], **{name: view[name] for name in names}})


@router.post("/list")
async def list_tasks(
    request: Request, key: AsKey, service: WithService, base_url: BaseUrl
) -> Response:
    """Return the tasks of the key, the newest first, page by page."""
    body = await json_object(request)
    limit = page_size(body.get("limit", 20))
    found, cursor = await service.history.page(key.id, limit, cursor_of(body.get("cursor")))
    views = [await task_view(task, service, base_url) for task in found]
    return success(request, page(views, cursor, limit))


def page_size(value: Any) -> int:  # noqa: ANN401 (any JSON value)
    """Return the number of items on a page.

    Raises:
        ApiError: it is outside 1 to 100.
    """
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MOST_ON_A_PAGE:
        raise ApiError(422, f"limit: give a number from 1 to {MOST_ON_A_PAGE}")
    return value


def cursor_of(value: Any) -> int | None:  # noqa: ANN401 (any JSON value)
    """Return the place in a list at which a page begins; None: the start.

    Raises:
        ApiError: the cursor is not one of this server.
    """
    if value in (None, ""):
        return None
    if not isinstance(value, str) or not value.isdecimal() or len(value) > 18:
        raise ApiError(422, "cursor: give the next_cursor of the page before")
    return int(value)
