"""The same as `benchmarks.serve.bare` on Ray Serve: proxy, FastAPI ingress, replica of the model.

A submitted task outlives its request, through the handle of the model.

It runs in an environment of its own, which has `ray[serve]` and not this project.
Annotations are not postponed: Serve sends the class without the names in them.
"""

import asyncio
import json
import logging
import os
import socket
import sys
import time
import uuid
from pathlib import Path
from typing import Annotated, Any

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # read when Ray is imported
os.environ["RAY_SERVE_LOG_TO_STDERR"] = "0"
# Serve kills a proxy that is not ready after 5 s, so it never starts on a machine with much load.
os.environ["RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S"] = "60"

import ray
from fastapi import Body, FastAPI
from ray import serve

app = FastAPI()


@serve.deployment(max_ongoing_requests=100, logging_config={"enable_access_log": False})
class Model:
    """Answers at once."""

    def __init__(self, notes: str) -> None:
        Path(notes, str(os.getpid())).touch()

    async def draw(self, prompt: str) -> str:
        """Return the name of an image."""
        return f"{prompt}.png"


@serve.deployment(max_ongoing_requests=100, logging_config={"enable_access_log": False})
@serve.ingress(app)
class Front:
    """The routes."""

    def __init__(self, model: Any) -> None:  # noqa: ANN401 (a handle of Serve's)
        self._model = model
        self._tasks: dict[str, asyncio.Task[str]] = {}

    async def _drawn(self, prompt: str) -> str:
        return str(await self._model.draw.remote(prompt))

    @app.post("/draw")
    async def draw(self, body: Annotated[dict[str, Any], Body()]) -> dict[str, Any]:
        """Ask the model."""
        return {"outputs": [await self._drawn(body["prompt"])]}

    @app.post("/api/v3/bytedance/uso")
    async def submit(self, body: Annotated[dict[str, Any], Body()]) -> dict[str, Any]:
        """Start a task."""
        task_id = uuid.uuid4().hex
        self._tasks[task_id] = asyncio.create_task(self._drawn(body["prompt"]))
        return {"data": {"id": task_id, "status": "created"}}

    @app.get("/api/v3/predictions/{task_id}/result")
    async def result(self, task_id: str) -> dict[str, Any]:
        """Return a task."""
        task = self._tasks[task_id]
        if not task.done():
            return {"data": {"id": task_id, "status": "processing"}}
        return {"data": {"id": task_id, "status": "completed", "outputs": [task.result()]}}


def main() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    ray.init(
        address="local",
        num_cpus=4,
        include_dashboard=False,
        object_store_memory=100 * 10**6,
        log_to_driver=False,
        logging_level=logging.ERROR,
    )
    serve.start(http_options={"host": "127.0.0.1", "port": port})
    model: Any = Model  # deployments have no types
    front: Any = Front
    serve.run(front.bind(model.bind(sys.argv[1] + "/model")), name="draw")
    print(json.dumps({"url": f"http://127.0.0.1:{port}"}), flush=True)
    while True:
        time.sleep(3600)


if __name__ == "__main__":
    main()
