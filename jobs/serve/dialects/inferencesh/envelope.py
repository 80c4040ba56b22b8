"""Answers and errors of inference.sh's API, in a form that all versions of its clients read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus

from fastapi import Request
from starlette.responses import JSONResponse, Response

from jobs.serve.dialects.base import base_url_of
from jobs.serve.errors import ApiError


def success(request: Request, data: object, messages: Sequence[Mapping[str, str]] = ()) -> Response:
    """Return an answer with HTTP status 200.

    Args:
        request: with `X-API-Version: 2` it asks for the bare object.
        data: the object.
        messages: notes about it, each with `level` and `message`.
    """
    if request.headers.get("x-api-version") == "2":
        return JSONResponse(data)
    body = {"success": True, "status": 200, "data": data, "messages": list(messages)}
    return JSONResponse(body)


def problem(request: Request, error: ApiError) -> Response:
    """Return the answer to a request that is refused: problem+json, and the older form in it."""
    body = {
        "type": f"{base_url_of(request)}/errors/{error.code}",
        "title": HTTPStatus(error.status).phrase,
        "status": error.status,
        "detail": error.message,
        "success": False,
        "error": {"code": error.code, "message": error.message},
    }
    return JSONResponse(body, error.status, error.headers, media_type="application/problem+json")
