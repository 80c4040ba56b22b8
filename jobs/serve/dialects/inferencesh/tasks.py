"""Tasks: get, status, cancel, delete, list, files and logs."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from jobs.serve.dialects.base import AsKey, BaseUrl, WithService, asked_of, json_object, moment
from jobs.serve.dialects.inferencesh.envelope import success
from jobs.serve.dialects.inferencesh.listing import cursor_of, filter_of, page, page_size
from jobs.serve.dialects.inferencesh.view import file_view, task_view, timings_view, watched_view
from jobs.serve.errors import ApiError, wrong
from jobs.serve.service import Service
from jobs.serve.store.files import File
from jobs.serve.store.keys import Key
from jobs.serve.task import Task

router = APIRouter(prefix="/tasks", tags=["inference.sh"])


@router.get("/{task_id}")
async def get(task_id: str, request: Request) -> Response:
    """Return a task."""
    key, service, base_url = await asked_of(request)
    task = await service.task(task_id, key)
    return success(request, await watched_view(task, service, base_url))


@router.get("/{task_id}/status")
async def status(task_id: str, request: Request) -> Response:
    """Return the state of a task."""
    key, service, _ = await asked_of(request)
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
    task = await _ended_task(task_id, key, service)
    await service.delete(task, with_files=request.query_params.get("files") == "true")


@router.get("/{task_id}/files")
async def files(
    task_id: str, request: Request, key: AsKey, service: WithService, base_url: BaseUrl
) -> Response:
    """Return the files of a task, of one role with `?role=input` or `output`."""
    found = await _files_of(await service.task(task_id, key), request, service)
    return success(request, [file_view(file, service, base_url) for file in found])


@router.delete("/{task_id}/files")
async def delete_files(
    task_id: str, request: Request, key: AsKey, service: WithService
) -> Response:
    """Delete the files of a task that has ended."""
    task = await _ended_task(task_id, key, service)
    chosen = await _files_of(task, request, service)
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


@router.get("/{task_id}/timings")
async def timings(task_id: str, request: Request, key: AsKey, service: WithService) -> Response:
    """Return the times at which a task reached its states."""
    task = await service.task(task_id, key)
    return success(request, timings_view(task, await service.tasks.events_of(task.id)))


@router.post("/list")
async def list_tasks(
    request: Request, key: AsKey, service: WithService, base_url: BaseUrl
) -> Response:
    """Return the tasks of the key, the newest first, page by page."""
    body = await json_object(request, optional=True)
    limit, before, only = page_size(body), cursor_of(body.get("cursor")), filter_of(body)
    found, cursor = await service.history.page(key.id, limit, before, only)
    views = [await task_view(task, service, base_url) for task in found]
    return success(request, page(views, cursor, limit))


async def _ended_task(task_id: str, key: Key, service: Service) -> Task:
    task = await service.task(task_id, key)
    if not task.state.ended:
        raise ApiError(409, "this task has not ended; cancel it first")
    return task


async def _files_of(task: Task, request: Request, service: Service) -> list[File]:
    """Return the files of a task, of the role that a request asks for."""
    role = request.query_params.get("role") or None
    if role not in (None, "input", "output"):
        raise wrong("role", "give input or output")
    return [file for file in await service.files_of(task) if role in (None, file.role)]
