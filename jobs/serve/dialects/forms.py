"""Uploaded files as clients send and describe them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import PurePath
from typing import Any

from fastapi import Request
from starlette.datastructures import FormData, UploadFile

from jobs.serve.errors import ApiError, wrong
from jobs.serve.service import Service
from jobs.serve.store.files import File
from jobs.serve.store.keys import Key

UPLOAD_S = 3600
"""Seconds for which the URL of an upload is valid."""
_MOST_FIELDS = 100
_MOST_OF_FIELD = 256 * 1024


@asynccontextmanager
async def multipart_form(request: Request, max_files: int) -> AsyncIterator[FormData]:
    """Read a multipart body; large files wait on the disk until the block ends.

    Raises:
        ApiError: the body is of another type.
    """
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        # A form without files would be kept in memory as a whole.
        raise ApiError(400, "send the body as multipart/form-data")
    parts = {"max_fields": _MOST_FIELDS, "max_part_size": _MOST_OF_FIELD}
    async with request.form(max_files=max_files, **parts) as form:
        yield form


async def uploaded(request: Request, service: Service, key: Key) -> File:
    """Store the file of a multipart body.

    Raises:
        ApiError: there is none, or it is too large.
    """
    async with multipart_form(request, 1) as form:
        upload = form.get("file")
        if not isinstance(upload, UploadFile):
            raise wrong("file", "send the file under this name")
        most = service.inputs.max_bytes
        data = await upload.read(most + 1)
        if len(data) > most:
            raise wrong("file", f"a file may have {most:,} bytes", status=413)
        name = form.get("filename") or upload.filename
        kind = form.get("content_type") or upload.content_type
        async with service.quota.storing(key, len(data)):
            return await service.files.put(key.id, file_name(name), content_type(kind), data)


async def announced(given: Mapping[str, Any], service: Service, key: Key, prefix: str = "") -> File:
    """Announce the file that a client describes by `filename`, `content_type` and `size`.

    Args:
        given: the description; each part may be absent.
        service: the server.
        key: the key that asks.
        prefix: beginning of the names of fields in messages.

    Raises:
        ApiError: the size is not a number of bytes, or is too large.
    """
    size, most = given.get("size"), service.inputs.max_bytes
    if size is not None and (not isinstance(size, int) or isinstance(size, bool) or size < 0):
        raise wrong(f"{prefix}size", "give the number of bytes")
    if size is not None and size > most:
        raise wrong(f"{prefix}size", f"a file may have {most:,} bytes", status=413)
    name, kind = file_name(given.get("filename")), content_type(given.get("content_type"))
    file = service.files.new(key.id, "input", name, kind, size=size)
    async with service.quota.storing(key, size or 0):
        await service.files.announce(file)
    return file


def file_name(given: object) -> str:
    """Return the last part of a name, or `upload` if there is none."""
    name = PurePath(given.replace("\\", "/")).name if isinstance(given, str) else ""
    shown = "".join(each for each in name if each.isprintable())[:128]
    return "upload" if shown.strip(" .") == "" else shown


def content_type(given: object) -> str:
    """Return a media type; what a client declares may be wrong, so nothing depends on it."""
    is_one = isinstance(given, str) and given.isascii() and given.isprintable()
    return str(given)[:128] if is_one and given else "application/octet-stream"
