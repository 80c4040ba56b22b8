"""The simplest server with an actor: FastAPI on uvicorn; no database, no keys, no queue.

`python -m benchmarks.serve.bare FOLDER`
"""

from __future__ import annotations

import json
import os
import sys
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
    app = FastAPI()

    @app.post("/draw")
    async def draw(body: Annotated[dict[str, Any], Body()]) -> dict[str, Any]:
        return {"outputs": [await model.draw.remote(body["prompt"])]}

    listener, url = bound_socket()
    ray.get(model.draw.remote("first"))
    print(json.dumps({"url": url}), flush=True)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False))
    server.run([listener])


if __name__ == "__main__":
    main()
