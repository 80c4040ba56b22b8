"""inference.sh's API: apps, tasks and files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from jobs.serve.dialects.base import moment
from jobs.serve.dialects.error_texts import error_text
from jobs.serve.dialects.inferencesh import apps, envelope, files, run, stream, tasks
from jobs.serve.dialects.inferencesh.view import output_view
from jobs.serve.direct import Direct
from jobs.serve.errors import ApiError
from jobs.serve.service import Service
from jobs.serve.task import State, Task

_SEED_NUMBERS = {State.COMPLETED: 9, State.FAILED: 10, State.CANCELLED: 11}
"""The numbers of an early version of the API, which old receivers of webhooks expect."""


class InferenceSh:
    """See the module."""

    name = "inferencesh"

    def owns(self, path: str) -> bool:  # noqa: ARG002 (of the interface)
        """Return True: its form of errors is that of every path without an owner."""
        return True

    def router(self) -> APIRouter:
        """See `Dialect`."""
        router = APIRouter()
        for module in (run, stream, tasks, files, apps):
            router.include_router(module.router)
        return router

    def direct(self) -> Mapping[str, Direct]:
        """See `Dialect`."""
        return {
            "POST /apps/run": Direct("/apps/run", run.run, {}),
            "GET /tasks/{task_id}": Direct("/tasks/{task_id}", tasks.get, {}),
            "GET /tasks/{task_id}/status": Direct("/tasks/{task_id}/status", tasks.status, {}),
        }

    def error(self, request: Request, error: ApiError) -> Response:
        """See `Dialect`."""
        return envelope.problem(request, error)

    def webhook(self, task: Task, service: Service, base_url: str) -> Mapping[str, Any]:
        """See `Dialect`."""
        numbers = service.config.serve.webhook_status_numbers
        number = _SEED_NUMBERS[task.state] if numbers == "seed" else int(task.state)
        name = task.state.name.lower()
        return {
            "id": task.id,
            "status": number,
            "status_text": name,
            "status_name": name,
            "output": output_view(task, service, base_url),
            "error": error_text(task.error_code, task.error),
            "session_id": task.extras.get("session_id"),
            "created_at": moment(task.created_at),
            "updated_at": moment(task.updated_at),
        }
