"""`/metrics` on an address of its own, which the clients of the server need not reach."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Iterator

import uvicorn
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from jobs.serve.connections import Connections, GuardedConfig
from jobs.serve.listen import listen
from jobs.serve.metrics import CONTENT_TYPE
from jobs.serve.service import Service

logger = logging.getLogger(__name__)

_MOST_CONNECTIONS = 32


@contextlib.asynccontextmanager
async def metrics_server(service: Service) -> AsyncIterator[None]:
    """Serve `/metrics` on `serve.metrics_port` for the duration of the block, if it is set.

    Raises:
        ConfigError: the port cannot be used.
    """
    config = service.config.serve
    if config.metrics_port is None:
        yield
        return
    listener = listen(config.metrics_host, config.metrics_port, "serve.metrics_port")
    host, port = listener.getsockname()[:2]
    logger.info("metrics_listening url=%s", f"http://{host}:{port}/metrics")
    options = GuardedConfig(
        _app(service),
        Connections(_MOST_CONNECTIONS),
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        proxy_headers=False,
        timeout_graceful_shutdown=1,
    )
    server = _Server(options)
    serving = asyncio.create_task(server.serve([listener]))
    try:
        yield
    finally:
        server.should_exit = True
        await serving


def _app(service: Service) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        answer: Response = PlainTextResponse("only /metrics is here\n", 404)
        if scope["path"] == "/metrics" and scope["method"] in ("GET", "HEAD"):
            answer = Response(await service.metrics.exposition(), media_type=CONTENT_TYPE)
        await answer(scope, receive, send)

    return app


class _Server(uvicorn.Server):
    """Uvicorn, which leaves the signals to the main server."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield
