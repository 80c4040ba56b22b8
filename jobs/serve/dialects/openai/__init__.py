"""OpenAI's images API: `/v1/images/generations`, `/v1/images/edits` and `/v1/models`.

Of the images of an edit, the first is the content image and the others are styles, in order.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from jobs.serve.dialects.base import AsKey
from jobs.serve.dialects.openai import images
from jobs.serve.dialects.openai.requests import MODEL, check_model
from jobs.serve.direct import Direct
from jobs.serve.errors import ApiError
from jobs.serve.service import Service
from jobs.serve.task import Task

_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
_CODES = {401: "invalid_api_key", 429: "rate_limit_exceeded"}

router = APIRouter(prefix="/v1", tags=["OpenAI"])


class OpenAI:
    """See the module."""

    name = images.DIALECT

    def owns(self, path: str) -> bool:
        """See `Dialect`."""
        return path == "/v1" or path.startswith("/v1/")

    def router(self) -> APIRouter:
        """See `Dialect`."""
        both = APIRouter()
        both.include_router(router)
        both.include_router(images.router)
        return both

    def direct(self) -> Mapping[str, Direct]:
        """See `Dialect`: a client gets its images by the one request that submits them."""
        return {}

    def error(self, _request: Request, error: ApiError) -> Response:
        """See `Dialect`."""
        # Its client has an error of its own for 400 alone.
        status = 400 if error.status == 422 else error.status
        kind = _TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
        body = {
            "message": error.message,
            "type": kind,
            "param": error.field,
            "code": _CODES.get(status, error.code),
        }
        return JSONResponse({"error": body}, status, error.headers)

    def webhook(self, task: Task, service: Service, base_url: str) -> Mapping[str, Any]:
        """See `Dialect`; this API has no webhooks, so no task has one."""
        return {"id": task.id, "data": [{"url": url} for url in service.urls(task, base_url)]}


@router.get("/models")
async def models(_key: AsKey) -> dict[str, Any]:
    """Return the model of this server."""
    return {"object": "list", "data": [_model()]}


@router.get("/models/{model:path}")
async def model(model: str, _key: AsKey) -> dict[str, Any]:
    """Return the model."""
    check_model(model)
    return _model()


def _model() -> dict[str, Any]:
    return {"id": MODEL, "object": "model", "created": 0, "owned_by": "uso-batch"}
