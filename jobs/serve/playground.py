"""The page at `/`: static files, which use the same routes as any client of inference.sh's API.

Scripts and styles come from this server alone, so that the policy can forbid everything else: a
page that holds a key must run no text as code.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from fastapi import APIRouter, Request
from starlette.responses import Response

from jobs.serve.errors import unknown
from jobs.serve.media import names_etag

router = APIRouter(include_in_schema=False)

_TYPES: Mapping[str, str] = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'"
)
_HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",  # a browser asks whether its copy is still the current one
}


@dataclass(frozen=True, slots=True)
class _Asset:
    """A file of the page.

    Attributes:
        media_type: its type.
        etag: changes with its bytes.
    """

    data: bytes
    media_type: str
    etag: str


@router.get("/")
@router.head("/")
async def index(request: Request) -> Response:
    """Return the page."""
    return _answer(request, "index.html")


@router.get("/page/{name}")
@router.head("/page/{name}")
async def asset(name: str, request: Request) -> Response:
    """Return a script, a style or the icon of the page."""
    return _answer(request, name)


def _answer(request: Request, name: str) -> Response:
    found = _assets().get(name)
    if found is None:
        raise unknown("page")
    headers = {**_HEADERS, "ETag": found.etag}
    if names_etag(request.headers.get("if-none-match", ""), found.etag):
        return Response(status_code=304, headers=headers)
    return Response(found.data, media_type=found.media_type, headers=headers)


@cache
def _assets() -> dict[str, _Asset]:
    """Return the files by name. No other name is looked up on the disk."""
    assets = {}
    for file in files("jobs.serve").joinpath("page").iterdir():
        media_type = _TYPES.get(file.name.rpartition(".")[2])
        if media_type is not None:
            data = file.read_bytes()
            etag = f'"{hashlib.sha256(data).hexdigest()[:32]}"'
            assets[file.name] = _Asset(data, media_type, etag)
    return assets
