"""A real server on a loopback port, in a thread, with workers in the test's process."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import httpx2
import uvicorn
import uvloop

from jobs.serve.actors import worker_spec
from jobs.serve.config import ServeConfig, load_serve_config
from jobs.serve.connections import Connections
from jobs.serve.listen import listen, uvicorn_config
from jobs.serve.pool import Pool
from jobs.serve.server import open_files
from jobs.serve.service import Service
from jobs.serve.store.database import Database, open_database
from jobs.serve.store.deliveries import DeliveryStore
from jobs.serve.task import new_id
from jobs.serve.webhooks import Webhooks
from pipelines.dispatch.workers import WakeablePool
from pipelines.rows import ManifestRow, Outcome
from pipelines.worker.stylizer import Stylizer
from tests.pipelines.inprocess_pool import InProcessPool
from tests.pipelines.tiny_models import tiny
from uso_core.families import describe_model
from uso_core.pipeline import USOPipeline

Work = Callable[[ManifestRow], Outcome]


@dataclass
class Running:
    """A server that runs.

    Attributes:
        url: its address.
        secret: the secret of a key.
        service: its parts; use them through `call` alone.
        database: its database; the same.
        rows: the rows that its workers have got, in order.
    """

    url: str
    secret: str
    service: Service
    database: Database
    loop: asyncio.AbstractEventLoop
    connections: Connections
    rows: list[ManifestRow] = field(default_factory=list)

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.secret}"}

    def client(self, **options: Any) -> httpx2.Client:
        """Return a client that sends the key."""
        return httpx2.Client(base_url=self.url, headers=self.headers, timeout=50, **options)

    def call(self, work: Any) -> Any:
        """Run a coroutine in the server's event loop, and return its result."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)


def config_for(
    folder: Path,
    *,
    safety: Mapping[str, Any] = MappingProxyType({}),
    scores: Mapping[str, Any] = MappingProxyType({}),
    **serve: Any,
) -> ServeConfig:
    sections = {"database": str(folder / "uso.db"), "files": str(folder / "files"), **serve}
    return load_serve_config(
        {
            "serve": sections,
            "model": {"base": "tiny"},
            "fetch": {"allow_private_networks": True, "timeout_s": 5, "attempts": 1},
            "stylize": {"gpus_per_actor": 0, "attempts": 1},
            "safety": safety,
            "scores": scores,
        }
    )


@contextmanager
def running(
    config: ServeConfig,
    work: Work | None = None,
    *,
    workers: int = 1,
    pipeline: USOPipeline | None = None,
    port: int = 0,
) -> Iterator[Running]:
    """Run a server; its workers draw with the tiny model, another one, or do `work`."""
    thread = _ServerThread(config, work, workers, pipeline)
    thread.port = port
    thread.start()
    try:
        yield thread.started()
    finally:
        thread.stopping.set()
        thread.join(30)
    if thread.error is not None:
        raise thread.error


class _ServerThread(threading.Thread):
    """The event loop of a server."""

    def __init__(
        self, config: ServeConfig, work: Work | None, workers: int, pipeline: USOPipeline | None
    ) -> None:
        super().__init__(daemon=True)
        self.stopping = threading.Event()
        self.error: BaseException | None = None
        self.port = 0
        self._config = config
        self._work = work
        self._workers = workers
        self._pipeline = pipeline
        self._is_up = threading.Event()
        self._running: Running | None = None

    def started(self) -> Running:
        assert self._is_up.wait(30)
        if self._running is None:
            assert self.error is not None
            raise self.error
        return self._running

    def run(self) -> None:
        try:
            uvloop.run(self._serve())
        except BaseException as error:  # noqa: BLE001 (the test raises it)
            self.error = error
        self._is_up.set()

    async def _serve(self) -> None:
        config = self._config
        async with open_database(config.serve.database) as database:
            card, storage = describe_model(config.model.source), open_files(config)
            service = await Service.create(config, card, database, storage)
            name = new_id() if await service.keys.all() else "test"  # the server of an earlier one
            _, secret = await service.keys.create(name)
            connections = Connections(config.serve.max_connections)
            server = uvicorn.Server(uvicorn_config(service, connections))
            listener = listen("127.0.0.1", self.port, "serve.port")
            serving = asyncio.create_task(server.serve([listener]))
            while not server.started:
                await asyncio.sleep(0.01)
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            loop = asyncio.get_running_loop()
            run = Running(url, secret, service, database, loop, connections)
            webhooks = asyncio.create_task(Webhooks(service, DeliveryStore(database), url).run())
            await self._work_until_stopped(run)
            webhooks.cancel()
            server.should_exit = True
            await serving

    async def _work_until_stopped(self, run: Running) -> None:
        keeping = asyncio.create_task(run.database.keep())
        actors = _actors(self._config, self._work, run.rows, self._workers, self._pipeline)
        pool = Pool(run.service, actors)
        claiming = asyncio.create_task(pool.run())
        self._running = run
        self._is_up.set()
        while not (self.stopping.is_set() or claiming.done() or keeping.done()):
            await asyncio.sleep(0.02)
        claiming.cancel()
        keeping.cancel()
        await pool.stop(30)
        run.service.changes.close()
        for background in (claiming, keeping):
            with suppress(asyncio.CancelledError):
                await background


def _actors(
    config: ServeConfig,
    work: Work | None,
    rows: list[ManifestRow],
    workers: int,
    pipeline: USOPipeline | None,
) -> Any:
    pipeline = pipeline or tiny()

    @contextmanager
    def actors(report: Callable[[str], None]) -> Iterator[WakeablePool]:
        report("loading the model")
        stylizer = None if work else Stylizer(worker_spec(config), pipeline=pipeline)

        def noted(row: ManifestRow) -> Outcome:
            rows.append(row)
            return work(row) if stylizer is None else stylizer.stylize(row)  # type: ignore[misc]

        yield InProcessPool(workers, noted, stylizer=stylizer)
        if stylizer is not None:
            stylizer.close()

    return actors
