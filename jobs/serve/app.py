"""The ASGI app: the routes of all dialects, and errors in the form of each. It knows no Ray."""

from __future__ import annotations

import logging
from functools import partial
from importlib.metadata import version

import sqlalchemy as sa
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from jobs.serve import api_page, batch_routes, media, playground
from jobs.serve.access import Observed
from jobs.serve.api_page import description_with_keys
from jobs.serve.bodies import Bodies, Room
from jobs.serve.dialects import DIALECTS, dialect_of
from jobs.serve.direct import DirectRoutes
from jobs.serve.errors import ApiError, DatabaseUnavailableError, wrong
from jobs.serve.gate import Gate
from jobs.serve.metrics import CONTENT_TYPE
from jobs.serve.service import Service
from jobs.serve.store.database import Database
from pipelines.errors import StorageError
from uso_core.errors import UsoError

logger = logging.getLogger(__name__)

_LARGE_BODIES = 2  # of the largest size that may be read at the same time


def make_app(service: Service) -> ASGIApp:
    """Return the app for a service."""
    app = FastAPI(
        title="USO Batch",
        version=version("uso-batch"),
        redirect_slashes=False,
        docs_url=None,  # FastAPI's own pages load scripts from elsewhere
        redoc_url=None,
    )
    app.openapi = partial(description_with_keys, app)  # type: ignore[method-assign]
    app.state.service = service
    app.add_exception_handler(ApiError, _answer)
    app.add_exception_handler(HTTPException, _answer)
    app.add_exception_handler(RequestValidationError, _answer)
    app.add_exception_handler(ClientDisconnect, _answer)
    app.add_exception_handler(UsoError, _answer)
    app.add_exception_handler(Exception, _answer)
    for dialect in DIALECTS:  # first: FastAPI tries all routes in turn, and takes 10 µs for each
        app.include_router(dialect.router())
    app.include_router(media.router)
    app.include_router(batch_routes.router)
    app.include_router(playground.router)
    app.include_router(api_page.router)
    app.get("/healthz", tags=["state"])(_healthz)
    app.get("/readyz", tags=["state"])(_readyz)
    if service.config.serve.metrics_port is None:
        app.get("/metrics", tags=["state"])(_metrics)
    most = round(service.config.serve.max_body_mb * 10**6)
    direct = {path: route for each in DIALECTS for path, route in each.direct().items()}
    routes = DirectRoutes(app, direct, _answer)
    bounded = Bodies(Gate(routes, app), most, Room(_LARGE_BODIES * most))
    log = service.config.serve.access_log
    return JoinedSlashes(Observed(bounded, service.metrics, log=log))


async def _healthz() -> dict[str, str]:
    """Answer as soon as the server listens."""
    return {"status": "ok"}


async def _readyz(request: Request) -> Response:
    """Answer 200 if the database answers and an actor holds the model, else 503 with the reason."""
    service: Service = request.app.state.service
    reason = await _fault_of(service.database) or service.readiness.reason
    ready = service.readiness.ready and not reason
    return JSONResponse({"ready": ready, "reason": reason}, 200 if ready else 503)


async def _fault_of(database: Database) -> str:
    try:
        async with database.reading() as connection:
            await connection.scalar(sa.select(1))
    except DatabaseUnavailableError:
        return "the database does not answer"
    return "" if database.owned else "the lock of the database is lost"


async def _metrics(request: Request) -> Response:
    """Return the metrics, in the format of Prometheus."""
    service: Service = request.app.state.service
    return Response(await service.metrics.exposition(), media_type=CONTENT_TYPE)


async def _answer(request: Request, error: Exception) -> Response:
    """Answer a request that is refused, or that met a bug, in the form of its dialect."""
    if isinstance(error, ClientDisconnect):  # nobody reads this answer
        error = ApiError(400, "the body has no end")
    return dialect_of(request.url.path).error(request, _as_api_error(request, error))


def _as_api_error(request: Request, error: Exception) -> ApiError:
    if isinstance(error, ApiError):
        return error
    if isinstance(error, HTTPException):
        message = error.detail
        if error.status_code in (404, 405):  # of the router: the routes raise ApiError
            message = f"there is no route {request.method} {request.url.path[:200]}; see /docs"
        return ApiError(error.status_code, message, headers=error.headers)
    if isinstance(error, RequestValidationError):
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"][1:])
        return wrong(field, first["msg"])
    if isinstance(error, DatabaseUnavailableError):
        return _unavailable("database")
    if isinstance(error, StorageError):
        logger.warning("request_failed error=%s", error)
        later = {"Retry-After": "5"}
        return ApiError(
            503, "the server's store of files does not answer; try again", headers=later
        )
    logger.error("request_failed", exc_info=error)
    return ApiError(500, "the server met a fault of its own; its log has the cause")


def _unavailable(part: str) -> ApiError:
    message = f"the server's {part} does not answer; try again in some seconds"
    return ApiError(503, message, headers={"Retry-After": "5"})


class JoinedSlashes:
    """Takes several slashes at the start of a path for one: some clients keep a base URL's last."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] == "http" and scope["path"].startswith("//"):
            scope = {**scope, "path": "/" + scope["path"].lstrip("/")}
        await self._app(scope, receive, send)
