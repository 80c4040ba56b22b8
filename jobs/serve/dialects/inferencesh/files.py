"""Files: announce and PUT, or multipart in one step; get, list and delete."""

from __future__ import annotations

import time
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from jobs.serve.dialects.base import AsKey, BaseUrl, WithService, json_object
from jobs.serve.dialects.forms import UPLOAD_S, announced, uploaded
from jobs.serve.dialects.inferencesh.envelope import success
from jobs.serve.dialects.inferencesh.listing import (
    file_cursor_of,
    page,
    page_size,
    times_of,
)
from jobs.serve.dialects.inferencesh.view import file_view
from jobs.serve.errors import wrong
from jobs.serve.service import Service
from jobs.serve.store.files import File
from jobs.serve.store.keys import Key

router = APIRouter(prefix="/files", tags=["inference.sh"])

_MOST_AT_ONCE = 100


@router.post("")
async def create(request: Request, key: AsKey, service: WithService, base_url: BaseUrl) -> Response:
    """Announce files and get URLs for their uploads, or upload one file as multipart."""
    if request.headers.get("content-type", "").startswith("multipart/"):
        file = await uploaded(request, service, key)
        return success(request, file_view(file, service, base_url))
    wanted = (await json_object(request)).get("files")
    if not isinstance(wanted, list) or not 1 <= len(wanted) <= _MOST_AT_ONCE:
        raise wrong("files", f"give a list of 1 to {_MOST_AT_ONCE} files")
    tickets = [await _announced(each, place, service, key) for place, each in enumerate(wanted)]
    expires_at = int(time.time()) + UPLOAD_S
    views = [
        {
            **file_view(file, service, base_url),
            "upload_url": service.links.write(base_url, file.id, expires_at),
        }
        for file in tickets
    ]
    return success(request, views)


@router.post("/list")
async def list_files(
    request: Request, key: AsKey, service: WithService, base_url: BaseUrl
) -> Response:
    """Return the files of the key, the newest first, page by page."""
    body = await json_object(request, optional=True)
    limit = page_size(body)
    since, before = times_of(body)
    after = file_cursor_of(body.get("cursor"))
    found, cursor = await service.files.page(key.id, limit, after=after, since=since, before=before)
    views = [file_view(file, service, base_url) for file in found]
    return success(request, page(views, cursor, limit))


@router.get("/{file_id}")
async def get(
    file_id: str, request: Request, key: AsKey, service: WithService, base_url: BaseUrl
) -> Response:
    """Return the facts about a file."""
    return success(request, file_view(await service.files.get(file_id, key.id), service, base_url))


@router.delete("/{file_id}", status_code=204)
async def delete(file_id: str, key: AsKey, service: WithService) -> None:
    """Delete a file."""
    await service.files.delete([await service.files.get(file_id, key.id)])


async def _announced(given: Any, place: int, service: Service, key: Key) -> File:  # noqa: ANN401
    if not isinstance(given, dict):
        raise wrong(f"files[{place}]", "give an object")
    return await announced(given, service, key, f"files[{place}].")
