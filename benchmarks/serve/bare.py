"""The simplest server with an actor: FastAPI on uvicorn; no database, no keys, no queue.

It answers one request that waits for the image, and submit and result as `uso serve` does; the
tasks are in memory. `python -m benchmarks.serve.bare FOLDER`
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import uuid
from pathlib import Path
from typing import Annotated, Any

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # read when Ray is imported

import ray
import uvicorn
from fastapi import Body, FastAPI

from benchmarks.serve.contenders import bound_socket


class Model:
    """Answers at once."""

    def __init__(self, notes: str) -> None:
        Path(notes, str(os.getpid())).touch()

    def draw(self, prompt: str) -> str:
        """Return the name of an image."""
        return f"{prompt}.png"


def _app(model: Any) -> FastAPI:  # noqa: ANN401 (an actor)
    app = FastAPI()
    tasks: dict[str, asyncio.Task[str]] = {}

    async def drawn(prompt: str) -> str:
        return str(await model.draw.remote(prompt))

    @app.post("/draw")
    async def draw(body: Annotated[dict[str, Any], Body()]) -> dict[str, Any]:
        return {"outputs": [await drawn(body["prompt"])]}

    @app.post("/api/v3/bytedance/uso")
    async def submit(body: Annotated[dict[str, Any], Body()]) -> dict[str, Any]:
        task_id = uuid.uuid4().hex
        tasks[task_id] = asyncio.create_task(drawn(body["prompt"]))
        return {"data": {"id": task_id, "status": "created"}}

    @app.get("/api/v3/predictions/{task_id}/result")
    async def result(task_id: str) -> dict[str, Any]:
        task = tasks[task_id]
        if not task.done():
            return {"data": {"id": task_id, "status": "processing"}}
        return {"data": {"id": task_id, "status": "completed", "outputs": [task.result()]}}

    return app


def main() -> None:
    ray.init(
        address="local",
        num_cpus=2,
        include_dashboard=False,
        object_store_memory=100 * 10**6,
        log_to_driver=False,
    )
    model_class: Any = ray.remote(Model)
    model = model_class.remote(sys.argv[1] + "/model")
    app = _app(model)
    listener, url = bound_socket()
    ray.get(model.draw.remote("first"))
    print(json.dumps({"url": url}), flush=True)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False))
    server.run([listener])


if __name__ == "__main__":
    main()
