"""The routes of files: signed URLs need no key."""

from __future__ import annotations

import re
import time
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import RedirectResponse, Response, StreamingResponse

from jobs.serve.bodies import body_of
from jobs.serve.dialects.base import WithService
from jobs.serve.errors import ApiError
from jobs.serve.service import Service
from jobs.serve.store.files import disposition_of

router = APIRouter(prefix="/media", tags=["files"])

_REDIRECT_S = 3600
_PART = 2**20
"""A larger file is read a part at a time, as fast as its client takes it."""

_RANGE = re.compile(r"bytes=(?P<first>[0-9]{0,18})-(?P<last>[0-9]{0,18})")


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
    service.files.check_announced(file, request.headers.get("content-length", ""))
    data = await body_of(request, service.inputs.max_bytes)
    further = len(data) if file.size is None else 0  # announced bytes count since then
    async with service.quota.storing_of(file.key_id, further):
        await service.files.upload(file, data)


@router.get("/{file_id}/{filename}")
@router.head("/{file_id}/{filename}", include_in_schema=False)
async def download(
    file_id: str,
    filename: str,  # noqa: ARG001 (a name for the client: the id finds the file)
    request: Request,
    service: WithService,
    e: Annotated[int, Query(description="Unix time of the URL's end.")],
    s: Annotated[str, Query(description="Signature of the URL.")],
) -> Response:
    """Return a file, or the range of it that the request asks for."""
    _check(service, "read", file_id, e, s)
    file = await service.files.get(file_id)
    etag = f'"{file.sha256}"'
    headers = {
        "Accept-Ranges": "bytes",
        "Content-Disposition": disposition_of(file),
        "X-Content-Type-Options": "nosniff",
        # A client declares the type of an upload. As a page, it must not act as this server's.
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "ETag": etag,
        "Cache-Control": "private, max-age=86400, immutable",
    }
    if file.path is not None and names_etag(request.headers.get("if-none-match", ""), etag):
        return Response(status_code=304, headers=headers)
    if service.config.serve.redirect and request.headers.get("sec-fetch-site") != "same-origin":
        # The page of this server may show its own files alone.
        target = await service.files.presigned(file, _REDIRECT_S)
        return RedirectResponse(target, 302, headers={"Cache-Control": "no-store"})
    chosen = _range(request, etag, file.size or 0)
    if request.method == "HEAD" and file.path is not None:
        size = file.size or 0
        return Response(
            media_type=file.content_type, headers={**headers, "Content-Length": str(size)}
        )
    if file.path is None or (chosen is None and (file.size or 0) <= _PART):
        data = await service.files.read(file)
        return Response(data, media_type=file.content_type, headers=headers)
    start, end = chosen or (0, file.size or 0)
    if chosen is not None:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{file.size}"
    headers["Content-Length"] = str(end - start)
    parts = service.files.parts(file, start, end, _PART)
    status = 200 if chosen is None else 206
    return StreamingResponse(parts, status, media_type=file.content_type, headers=headers)


def names_etag(header: str, etag: str) -> bool:
    """Return True if an `If-None-Match` header names the version that a client would get."""
    known = [each.strip().removeprefix("W/") for each in header.split(",")]
    return etag in known or "*" in known


def _range(request: Request, etag: str, size: int) -> tuple[int, int] | None:
    """Return the first byte that a request wants, and the one after the last; None: all.

    Raises:
        ApiError: the file has no such bytes.
    """
    match = _RANGE.fullmatch(request.headers.get("range", ""))
    version = request.headers.get("if-range", etag)
    if request.method != "GET" or match is None or version != etag:
        return None  # several ranges at once are answered with the whole file, as RFC 9110 allows
    first, last = match["first"], match["last"]
    if not (first or last):
        return None
    start = int(first) if first else max(0, size - int(last))
    end = min(size, int(last) + 1) if first and last else size
    if first and last and int(last) < int(first):
        return None
    if start >= end:
        headers = {"Content-Range": f"bytes */{size}"}
        raise ApiError(416, f"this file has {size:,} bytes", headers=headers)
    return start, end


def _check(service: Service, verb: str, file_id: str, expires_at: int, signature: str) -> None:
    if not service.links.allows(verb, file_id, expires_at, signature, time.time()):
        raise ApiError(403, "this URL is altered or has expired")
