"""Requests of inference.sh's API for small images."""

from __future__ import annotations

import base64
from typing import Any

from tests.jobs.serve.running import Running
from tests.pipelines.pictures import encode, picture

APP = "infsh/bytedance-uso"
CONTENT = "data:image/png;base64," + base64.b64encode(encode(picture())).decode()
SMALL = {"prompt": "a cat", "width": 32, "height": 48, "num_steps": 2, "content_long_size": 32}


def run(server: Running, given: Any = None, **more: Any) -> Any:
    body = {"app": APP, "input": {**SMALL, **(given or {})}, **more}
    with server.client() as http:
        return http.post("/apps/run", json=body)


def ended(server: Running, **given: Any) -> dict[str, Any]:
    data: dict[str, Any] = run(server, given, wait=True).json()["data"]
    return data
