"""Each call of inference.sh's Python client; tests/clients has other versions of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import inferencesh
import pytest

from tests.clients.scripts import inferencesh_flows as flows
from tests.jobs.serve.running import Running
from tests.pipelines.pictures import encode, picture


@pytest.fixture
def reference(tmp_path: Path) -> str:
    path = tmp_path / "ref.png"
    path.write_bytes(encode(picture()))
    return str(path)


@pytest.mark.parametrize("flow", flows.FLOWS, ids=lambda flow: flow.__name__)
def test_a_call(server: Running, reference: str, flow: Callable[[Any, str], None]) -> None:
    flow(inferencesh.inference(api_key=server.secret, base_url=server.url), reference)


def test_async_calls(server: Running, reference: str) -> None:
    asyncio.run(flows.all_async(server.url, server.secret, reference))


def test_a_wrong_key_is_an_error_with_a_code(server: Running) -> None:
    flows.wrong_key(server.url)
    stranger = inferencesh.inference(api_key="nope", base_url=server.url)
    with pytest.raises(inferencesh.APIError) as refused:
        stranger.sessions.list()
    assert (refused.value.status_code, refused.value.code) == (401, "unauthorized")


def test_its_download_keeps_one_copy(
    server: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its cache knows an image by the URL with its query, which must not change."""
    client = inferencesh.inference(api_key=server.secret, base_url=server.url)
    task = client.run({"app": flows.APP, "input": flows.SMALL})
    again = client.get_task(task["id"]).data
    urls = {each["output"]["generated_image"]["uri"] for each in (task, again)}
    assert len(urls) == 1
