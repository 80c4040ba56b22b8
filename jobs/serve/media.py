"""The routes of files: signed URLs need no key."""

from __future__ import annotations

import time
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from jobs.serve.dialects.base import WithService
from jobs.serve.errors import ApiError
from jobs.serve.service import Service

router = APIRouter(prefix="/media", tags=["files"])


@router.put("/upload/{file_id}", status_code=204)
async def upload(
    file_id: str,
    request: Request,
    service: WithService,
    e: Annotated[int, Query(description="Unix time of the URL's end.")],
    token: Annotated[str, Query(description="Signature of the URL.")],
) -> None:
    """Upload the bytes of an announced file, once."""
    _check(service, "write", file_id, e, token)
    file = await service.files.get(file_id)
    most = service.inputs.max_bytes
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > most:
            raise ApiError(413, f"a file may have {most:,} bytes")
    await service.files.upload(file, bytes(data))


@router.get("/{file_id}/{filename}")
@router.head("/{file_id}/{filename}", include_in_schema=False)
async def download(
    file_id: str,
    filename: str,  # noqa: ARG001 (a name for the client: the id finds the file)
    service: WithService,
    e: Annotated[int, Query(description="Unix time of the URL's end.")],
    s: Annotated[str, Query(description="Signature of the URL.")],
) -> Response:
    """Return a file."""
    _check(service, "read", file_id, e, s)
    file = await service.files.get(file_id)
    headers = {
        "Content-Disposition": f"inline; filename*=UTF-8''{quote(file.filename)}",
        "X-Content-Type-Options": "nosniff",
        # A client declares the type of an upload. As a page, it must not act as this server's.
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "ETag": f'"{file.sha256}"',
        "Cache-Control": "private, max-age=86400, immutable",
    }
    return Response(await service.files.read(file), media_type=file.content_type, headers=headers)


def _check(service: Service, verb: str, file_id: str, expires_at: int, signature: str) -> None:
    if not service.links.allows(verb, file_id, expires_at, signature, time.time()):
        raise ApiError(403, "this URL is altered or has expired")
