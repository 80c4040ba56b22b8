"""WaveSpeedAI's REST API: `/api/v3`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from jobs.serve.dialects.wavespeed import account, predictions, uploads
from jobs.serve.dialects.wavespeed.view import MODEL, prediction
from jobs.serve.direct import Direct
from jobs.serve.errors import ApiError
from jobs.serve.service import Service
from jobs.serve.task import Task


class WaveSpeed:
    """See the module."""

    name = "wavespeed"

    def owns(self, path: str) -> bool:
        """See `Dialect`."""
        return path == "/api/v3" or path.startswith("/api/v3/")

    def router(self) -> APIRouter:
        """See `Dialect`."""
        router = APIRouter(prefix="/api/v3")
        # The submits come last: they take every path.
        for each in (predictions.router, uploads.router, account.router, predictions.submits):
            router.include_router(each)
        return router

    def direct(self) -> Mapping[str, Direct]:
        """See `Dialect`."""
        submit = Direct("/api/v3/{model:path}", predictions.submit, {"model": MODEL})
        path = "/api/v3/predictions/{task_id}/result"
        return {
            f"POST /api/v3/{MODEL}": submit,
            f"GET {path}": Direct(path, predictions.result, {}),
        }

    def error(self, _request: Request, error: ApiError) -> Response:
        """See `Dialect`."""
        # Its clients know 400 alone for a bad parameter.
        status = 400 if error.status == 422 else error.status
        body = {"code": status, "message": error.message, "data": None}
        return JSONResponse(body, status, error.headers)

    def webhook(self, task: Task, service: Service, base_url: str) -> Mapping[str, Any]:
        """See `Dialect`."""
        return {**prediction(task, service, base_url), "input": dict(task.given)}
