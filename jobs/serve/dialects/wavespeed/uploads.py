"""Uploads: a ticket and a PUT, or multipart in one step."""

from __future__ import annotations

import time
from typing import Any

from fastapi import APIRouter, Request

from jobs.serve.dialects.base import AsKey, BaseUrl, WithService, json_object
from jobs.serve.dialects.forms import UPLOAD_S, announced, uploaded
from jobs.serve.dialects.wavespeed.view import success
from jobs.serve.service import Service
from jobs.serve.store.files import File

router = APIRouter(tags=["WaveSpeed"])


@router.post("/media/uploads")
async def ticket(
    request: Request, key: AsKey, service: WithService, base_url: BaseUrl
) -> dict[str, Any]:
    """Announce a file, and return the URL for its upload."""
    file = await announced(await json_object(request), service, key)
    url = service.links.write(base_url, file.id, int(time.time()) + UPLOAD_S)
    upload = {"method": "PUT", "url": url, "headers": {"Content-Type": file.content_type}}
    return success({**_view(file, service, base_url), "upload": upload})


@router.post("/media/upload/binary")
@router.post("/upload", include_in_schema=False)
@router.post("/uploads", include_in_schema=False)
async def multipart(
    request: Request, key: AsKey, service: WithService, base_url: BaseUrl
) -> dict[str, Any]:
    """Upload a file in one step, in the field `file`."""
    view = _view(await uploaded(request, service, key), service, base_url)
    return success({**view, "url": view["download_url"]})


def _view(file: File, service: Service, base_url: str) -> dict[str, Any]:
    expires_at = file.expires_at // 1000
    return {
        "type": file.content_type.partition("/")[0] if "/" in file.content_type else "file",
        "filename": file.filename,
        "size": file.size,
        "download_url": service.links.read(base_url, file.id, file.filename, expires_at),
    }
