"""The routes that every task needs, found by a look into a dictionary in front of FastAPI.

FastAPI takes 0.4 ms for a request before and after its handler: it tries the routes in turn, solves
dependencies, and passes each part of the answer through seven layers. The same handlers answer
here, and FastAPI describes them in `/openapi.json`.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from fastapi import FastAPI, Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

Refuse: TypeAlias = Callable[[Request, Exception], Awaitable[Response]]
"""Returns the answer to a request whose handler has raised an error."""

_ID = re.compile("(?<=/)[a-z]{28}(?=/|$)")
_PLACE = "{task_id}"


@dataclass(frozen=True, slots=True)
class Direct:
    """A route.

    Attributes:
        path: its template in FastAPI, for logs and metrics.
        handler: takes the parameters of the path by name, and the request as `request`. A mapping
            that it returns is the JSON of the answer.
        parameters: further parameters of the path.
    """

    path: str
    handler: Callable[..., Awaitable[Response | Mapping[str, Any]]]
    parameters: Mapping[str, str]


class DirectRoutes:
    """An ASGI app that answers some requests itself, and leaves the others to FastAPI."""

    def __init__(self, app: FastAPI, routes: Mapping[str, Direct], refuse: Refuse) -> None:
        """Answer the requests of `routes`.

        Args:
            app: answers all others.
            routes: the routes, by method and path. `{task_id}` is in the place of a task's id.
            refuse: answers for a handler that has raised an error.
        """
        self._app = app
        self._routes = routes
        self._refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        route, parameters = self._find(scope)
        if route is None:
            await self._app(scope, receive, send)
            return
        scope.update(app=self._app, route=route, path_params=parameters)
        request = Request(scope, receive)
        try:
            answer = await route.handler(request=request, **parameters)
        except Exception as error:  # noqa: BLE001 (it is logged if it is a bug)
            answer = await self._refuse(request, error)
        if not isinstance(answer, Response):
            answer = JSONResponse(answer)
        await answer(scope, receive, send)

    def _find(self, scope: Scope) -> tuple[Direct | None, dict[str, str]]:
        if scope["type"] != "http":
            return None, {}
        path = f"{scope['method']} {scope['path']}"
        found = self._routes.get(path)
        if found is not None:
            return found, dict(found.parameters)
        task_id = _ID.search(path)
        if task_id is None:
            return None, {}
        template = f"{path[: task_id.start()]}{_PLACE}{path[task_id.end() :]}"
        found = self._routes.get(template)
        return found, {"task_id": task_id.group()} if found is not None else {}
