"""The images that a request names: URLs, inline images and uploads, and nothing else.

A manifest may name paths and stores. A request may not: they would be those of the server.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from jobs.serve.errors import wrong
from jobs.serve.links import Links
from jobs.serve.quota import Quota
from jobs.serve.store.files import FileStore
from jobs.serve.task import Reference
from pipelines.failures import RowFailedError
from pipelines.fetch.data_uri import read_data_uri
from pipelines.fetch.http_guard import is_public

_MEDIA = re.compile(
    r"/media/(?P<id>[a-z]{28})/[^?#]*(?:\?e=(?P<expires>\d{1,12})&s=(?P<signature>[0-9a-f]+))?"
)
_MOST_URL = 8192


@dataclass(frozen=True, slots=True)
class Inputs:
    """Turns the images of requests into references.

    Attributes:
        files: takes inline images, and finds uploads.
        links: knows the URLs of this server, whatever name a client reaches it by.
        quota: bounds the bytes that a key stores.
        max_bytes: largest upload and largest inline image.
    """

    files: FileStore
    links: Links
    quota: Quota
    max_bytes: int

    async def reference(self, value: object, field: str, key_id: str, base_url: str) -> Reference:
        """Return the reference for an image of a request.

        Args:
            value: an http(s) URL, a `data:` URI, or the URL of an own upload.
            field: name of the field, for messages.
            key_id: the key that asks: uploads of others do not exist for it.
            base_url: the URL of this server.

        Raises:
            ApiError: it is another kind of value.
        """
        if not isinstance(value, str):
            raise wrong(field, f"give a URL or a data: URI, not {type(value).__name__}")
        if value[:5].lower() == "data:":
            content_type, data = await asyncio.to_thread(self._inline, value, field)
            async with self.quota.storing_of(key_id, len(data)):
                file = await self.files.put(key_id, "inline", content_type, data)
            return Reference(file_id=file.id, field=field)
        file_id = self.own_file(value, base_url)
        if file_id is not None:
            file = await self.files.get(file_id, key_id)
            if file.path is None:
                raise wrong(field, "this file was announced, and never uploaded")
            return Reference(file_id=file.id, field=field)
        if len(value) > _MOST_URL:
            raise wrong(field, f"a URL may have {_MOST_URL:,} characters")
        if not is_remote(value):
            reason = "give an http(s) URL, a data: URI or the URL of an upload; paths and other "
            raise wrong(field, f"{reason}stores are not read for a request")
        return Reference(uri=value, field=field)

    def own_file(self, value: str, base_url: str) -> str | None:
        """Return the id of the file that a URL of this server names; None for another URL.

        The URL may have been made for another name of the server: its signature is enough.
        """
        match = _MEDIA.search(value)
        if match is None:
            return None
        begins_here = value[: match.start()] == base_url
        signed = self.links.signs("read", match["id"], match["expires"], match["signature"])
        return match["id"] if begins_here or signed else None

    def _inline(self, value: str, field: str) -> tuple[str, bytes]:
        try:
            data = read_data_uri(value, self.max_bytes)
        except RowFailedError as error:
            status = 413 if error.failure.code == "image_too_large" else 422
            raise wrong(field, error.failure.message, status=status) from error
        media = value[5:200].partition(",")[0].partition(";")[0]
        return media or "application/octet-stream", data


def is_remote(value: object) -> bool:
    """Return True if a value may name an image of a request: a URL, or an inline image."""
    if not isinstance(value, str):
        return False
    return value[:5].lower() == "data:" or scheme_of(value) in ("http", "https")


def is_private_address(url: str) -> bool:
    """Return True if the host of a URL is an address, and not a public one.

    Names are not looked up: the fetch guard checks every host again when it connects.
    """
    host = urlsplit(url).hostname or ""
    try:
        return not is_public(ipaddress.ip_address(host.partition("%")[0]))
    except ValueError:
        return False


def scheme_of(value: str) -> str | None:
    """Return the scheme of a URL with a host; None if it has none, or cannot be read.

    A host with a space and a port above 65535 cannot be read. The system's resolver would take
    such a port for another one.
    """
    try:
        parts = urlsplit(value)
        _ = parts.port  # raises for one that is out of range
    except ValueError:
        return None
    host = parts.hostname or ""
    return parts.scheme.lower() if host and not re.search(r"\s", host) else None
