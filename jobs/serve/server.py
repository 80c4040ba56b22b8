"""Runs the server: opens the database, listens, and only then starts Ray and the actors."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import uvicorn

from jobs.secret_settings import resolved_secrets
from jobs.serve.actors import ray_actors
from jobs.serve.config import ServeConfig
from jobs.serve.connections import Connections, bound_of_connections
from jobs.serve.listen import listen, uvicorn_config
from jobs.serve.metrics_server import metrics_server
from jobs.serve.pool import Pool
from jobs.serve.retention import delete_expired
from jobs.serve.service import Service
from jobs.serve.store.database import open_database
from jobs.serve.store.deliveries import DeliveryStore
from jobs.serve.webhooks import Webhooks
from pipelines.dispatch.workers import WakeablePool
from pipelines.storage.storage import Storage
from pipelines.worker.image_plugins import chosen_plugins
from pipelines.worker.spec import StylizerSpec
from uso_core.families import describe_model

if TYPE_CHECKING:
    from pipelines.on_ray.row_actor import RowWorker

logger = logging.getLogger(__name__)

_DEMO_KEY = "demo"
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


async def serve(
    config: ServeConfig,
    on_start: Callable[[str, str | None], None],
    make_worker: Callable[[StylizerSpec], RowWorker] | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT.

    Args:
        config: the configuration.
        on_start: called with the URL, and with the secret of a key if one was made.
        make_worker: builds the worker of an actor; tests and benchmarks replace it.

    Raises:
        ConfigError, StorageError, CheckpointError: something cannot be used; nothing was started.
    """
    if config.safety.mode != "off" or config.scores:  # it imports pyarrow
        chosen_plugins(config.as_run())  # refuses here whatever is not installed
    card = describe_model(config.model.source)
    storage = open_files(config)
    async with open_database(config.serve.database) as database:
        service = await Service.create(config, card, database, storage)
        secret = await _first_key(service)
        listener = listen(config.serve.host, config.serve.port, "serve.port")
        connections = Connections(bound_of_connections(config.serve.max_connections))
        server = _Server(uvicorn_config(service, connections), service)
        host, port = listener.getsockname()[:2]
        url = (config.serve.public_url or f"http://{host}:{port}").rstrip("/")
        on_start(url, secret)
        webhooks = asyncio.create_task(Webhooks(service, DeliveryStore(database), url).run())

        @contextlib.contextmanager
        def actors(report: Callable[[str], None]) -> Iterator[WakeablePool]:
            with ray_actors(config, card.name, report, make_worker) as workers:
                loop.call_soon_threadsafe(server.take_signals)  # Ray has taken them for itself
                yield workers

        loop = asyncio.get_running_loop()
        pool = Pool(service, actors)
        claiming = asyncio.create_task(pool.run())
        sweeping = asyncio.create_task(delete_expired(service))
        keeping = asyncio.create_task(database.keep())
        for background in (claiming, webhooks, sweeping, keeping):
            # A bug in one of them ends the server: a supervisor starts it again.
            background.add_done_callback(lambda _: setattr(server, "should_exit", True))
        try:
            async with metrics_server(service):
                await server.serve([listener])
        finally:
            claiming.cancel()
            await pool.stop(config.ray.stop_grace_s)
            await _ended(claiming, webhooks, sweeping, keeping)


async def _ended(*background: asyncio.Task[None]) -> None:
    """Cancel what runs in the background; raise the first fault that one of them had."""
    for task in background:
        task.cancel()
    results = await asyncio.gather(*background, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException) and not isinstance(result, asyncio.CancelledError):
            raise result


def open_files(config: ServeConfig) -> Storage:
    """Return the store of the server's files."""
    options = dict(resolved_secrets(config.storage))
    if config.serve.redirect:
        # Botocore signs requests in the newest way by default, and URLs in one that many refuse.
        s3 = dict(options.get("s3", {}))
        s3["config_kwargs"] = {"signature_version": "s3v4", **s3.get("config_kwargs", {})}
        options["s3"] = s3
    return Storage.at(config.serve.files, options)


async def _first_key(service: Service) -> str | None:
    """Make a key if there is none and only this machine can reach the server."""
    if service.config.serve.host not in ("127.0.0.1", "::1", "localhost"):
        return None
    if await service.keys.all():
        return None
    _, secret = await service.keys.create(_DEMO_KEY)
    return secret


class _Server(uvicorn.Server):
    """Uvicorn, which tells open streams to end before it waits for them."""

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle signals inside the block; after it, a signal ends the process as it usually does.

        Uvicorn's own way raises the signal again at the end of the block, which would end the
        process before the actors have finished their images.
        """
        earlier = {number: signal.getsignal(number) for number in _SIGNALS}
        self.take_signals()
        yield
        for number, handler in earlier.items():
            signal.signal(number, handler)

    def take_signals(self) -> None:
        """Handle SIGTERM and SIGINT; call it in the main thread."""
        for number in _SIGNALS:
            signal.signal(number, self.handle_exit)

    def handle_exit(self, sig: int, frame: object) -> None:
        """End the waits of all requests; a second signal ends the process."""
        logger.info("server_stopping signal=%s", signal.Signals(sig).name)
        self._service.changes.close()
        super().handle_exit(sig, frame)  # type: ignore[arg-type]  # a frame, as signal gives it
