"""Uploads: a ticket and a PUT, or multipart in one step."""

from __future__ import annotations

import time
from typing import Any

from fastapi import APIRouter, Request

from jobs.serve.dialects.base import AsKey, BaseUrl, WithService, json_object
from jobs.serve.dialects.forms import content_type, file_name, uploaded
from jobs.serve.dialects.wavespeed.view import success
from jobs.serve.errors import ApiError
from jobs.serve.service import Service
from jobs.serve.store.files import File

router = APIRouter(tags=["WaveSpeed"])

_UPLOAD_S = 3600


@router.post("/media/uploads")
async def ticket(
    request: Request, key: AsKey, service: WithService, base_url: BaseUrl
) -> dict[str, Any]:
    """Announce a file, and return the URL for its upload."""
    body = await json_object(request)
    size, most = body.get("size"), round(service.config.serve.max_upload_mb * 10**6)
    if size is not None and (not isinstance(size, int) or isinstance(size, bool) or size < 0):
        raise ApiError(400, "size: give the number of bytes")
    if size is not None and size > most:
        raise ApiError(413, f"a file may have {most:,} bytes")
    await service.quota.check_upload(key, size or 0)
    kind = content_type(body.get("content_type"))
    file = service.files.new(key.id, "input", file_name(body.get("filename")), kind, size=size)
    await service.files.announce(file)
    url = service.links.write(base_url, file.id, int(time.time()) + _UPLOAD_S)
    upload = {"method": "PUT", "url": url, "headers": {"Content-Type": kind}}
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
