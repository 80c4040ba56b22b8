"""Puts objects into a store that is not a local disk."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from fsspec import AbstractFileSystem

from pipelines.storage.faults import is_already_there

_PUT_BYTES = 512 * 2**20
_PUT_S = 60
_SLOWEST_PUT = 2**20  # bytes per second


def put_options(fs: AbstractFileSystem, num_bytes: int, patience_s: float) -> dict[str, Any]:
    """Return the options of `pipe_file` for an object of this size."""
    chunks = {"chunksize": _PUT_BYTES} if "s3" in fs.protocol else {}
    return chunks | put_timeout(fs, num_bytes, patience_s)


def put_timeout(fs: AbstractFileSystem, num_bytes: int, patience_s: float) -> dict[str, Any]:
    """Limit the time of a PUT: a client that waits for 100-continue waits for ever."""
    if not fs.async_impl:
        return {}
    return {"timeout": min(_PUT_S, patience_s) + num_bytes / _SLOWEST_PUT}


def create_object(
    fs: AbstractFileSystem, name: str, data: bytes, options: Mapping[str, Any]
) -> bool:
    """Create an object with a conditional write; return False if there is one of that name.

    On S3 it is sent with `If-None-Match`, to GCS with `ifGenerationMatch`, to Azure with an ETag.
    """
    try:
        fs.pipe_file(name, data, mode="create", **options)
    except Exception as error:
        if is_already_there(error):
            return False
        raise
    return True


def presigned_get(
    filesystem: AbstractFileSystem, path: str, seconds: int, headers: Mapping[str, str]
) -> str:
    """Return a URL at which an object of S3 can be read without credentials.

    Args:
        filesystem: a filesystem of S3.
        path: the object.
        seconds: life of the URL.
        headers: headers of the answer, by the names that S3's API has for them, e.g.
            `ResponseContentType`.
    """
    return cast(str, filesystem.sign(path, expiration=seconds, **headers))
