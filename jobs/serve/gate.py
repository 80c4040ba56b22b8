"""Refuses requests that no route should see."""

from __future__ import annotations

import re

from fastapi import FastAPI, Request
from starlette.types import ASGIApp, Receive, Scope, Send

from jobs.serve.dialects import dialect_of
from jobs.serve.errors import ApiError, unknown

CROWDED = "crowded"
"""Key in a request's state: its connection is one too many."""

_HOST = re.compile(rb"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?")
_PROBES = ("/healthz", "/readyz")


class Gate:
    """An ASGI app that answers odd requests itself, in the form of their dialect."""

    def __init__(self, app: ASGIApp, fastapi: FastAPI) -> None:
        """Pass requests on to `app`; answers are formed with the state of `fastapi`."""
        self._app = app
        self._fastapi = fastapi

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        error = _refusal(scope) if scope["type"] == "http" else None
        if error is None:
            await self._app(scope, receive, send)
            return
        request = Request({**scope, "app": self._fastapi}, receive)
        answer = dialect_of(scope["path"]).error(request, error)
        await answer(scope, receive, send)


def _refusal(scope: Scope) -> ApiError | None:
    if scope.get("state", {}).get(CROWDED) and scope["path"] not in _PROBES:
        message = "too many connections are open; try again"
        return ApiError(503, message, headers={"Retry-After": "5", "Connection": "close"})
    if "\x00" in scope["path"]:
        return unknown("path")
    hosts = [value for name, value in scope["headers"] if name == b"host"]
    if any(_HOST.fullmatch(host) is None for host in hosts):
        # Links in answers begin with it.
        return ApiError(400, "the header Host is not the name of a host")
    return None
