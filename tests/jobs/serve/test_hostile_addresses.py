"""Addresses of this machine, and images that are bombs: no connection, and a clear error."""

from __future__ import annotations

import base64
import io
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from PIL import Image

from jobs.serve.config import load_serve_config
from jobs.serve.store.tables import deliveries
from tests.jobs.serve.running import Running, running

SUBMIT = "/api/v3/bytedance/uso"
ADDRESSES = ("127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "169.254.169.254")
NAMES = ("localhost", "2130706433", "0x7f000001", "127.1", "0")
"""Names that resolve to addresses of this machine."""


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Return a server that fetches from public addresses alone, as the default is."""
    folder: Path = tmp_path_factory.mktemp("guarded")
    config = {
        "serve": {
            "database": str(folder / "uso.db"),
            "files": str(folder / "files"),
            "allow_http_webhooks": True,
        },
        "model": {"base": "tiny"},
        "fetch": {"timeout_s": 5, "attempts": 1},
        "stylize": {"gpus_per_actor": 0, "attempts": 1},
    }
    with running(load_serve_config(config)) as run:
        yield run


@pytest.fixture
def trap() -> Iterator[socket.socket]:
    """Return a socket that listens, on a port that nobody may connect to."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        yield listener


def was_reached(trap: socket.socket) -> bool:
    try:
        trap.accept()[0].close()
    except BlockingIOError:
        return False
    return True


def drawn(server: Running, image: str, **more: Any) -> dict[str, Any]:
    """Submit a task in sync mode, and return the prediction."""
    body = {"prompt": "a", "reference_images": [image], "enable_sync_mode": True, **more}
    with server.client() as http:
        answer = http.post(SUBMIT, json=body)
    data: dict[str, Any] = answer.json()["data"]
    return data


@pytest.mark.parametrize("host", [*ADDRESSES, *NAMES])
def test_an_image_on_this_machine_is_not_fetched(
    guarded: Running, trap: socket.socket, host: str
) -> None:
    data = drawn(guarded, f"http://{host}:{trap.getsockname()[1]}/a.png")
    assert (data["status"], data["code"]) == ("failed", 1402)
    assert "not public" in data["error"]
    assert not was_reached(trap)


@pytest.mark.parametrize("host", ADDRESSES)
def test_a_webhook_to_this_machine_is_refused(guarded: Running, host: str) -> None:
    body = {"prompt": "a", "reference_images": ["https://example.com/a.png"]}
    with guarded.client() as http:
        answer = http.post(f"{SUBMIT}?webhook=https://{host}/hook", json=body)
    assert (answer.status_code, "not public" in answer.json()["message"]) == (400, True)


@pytest.mark.parametrize("host", ["localhost", "2130706433"])
def test_a_webhook_to_a_name_of_this_machine_is_not_sent(
    guarded: Running, trap: socket.socket, host: str
) -> None:
    hook = f"http://{host}:{trap.getsockname()[1]}/hook"
    data = drawn(guarded, "http://127.0.0.1/a.png", webhook_url=hook)
    give_up_at, said = time.monotonic() + 15, ""
    while not said and time.monotonic() < give_up_at:
        said = guarded.call(result_of(guarded, data["id"]))
        time.sleep(0.05)
    assert said == "the address of the receiver is not public"
    assert not was_reached(trap)


async def result_of(server: Running, task_id: str) -> str:
    query = sa.select(deliveries.c.result).where(deliveries.c.task_id == task_id)
    async with server.database.reading() as connection:
        return str(await connection.scalar(query) or "")


def test_an_image_of_too_many_pixels_is_not_decoded(guarded: Running) -> None:
    stream = io.BytesIO()
    Image.new("1", (30_000, 30_000)).save(stream, "PNG")
    assert stream.tell() < 200_000
    inline = "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode("ascii")
    data = drawn(guarded, inline)
    assert (data["status"], data["code"]) == ("failed", 1402)
    assert "pixels" in data["error"]


@pytest.mark.parametrize("url", ["http://a.example:99999/", "http://a b/", "http://[::1"])
def test_a_url_that_cannot_be_read_is_refused(guarded: Running, url: str) -> None:
    body = {"prompt": "a", "reference_images": [url]}
    fine = {"prompt": "a", "reference_images": ["http://a.example/a.png"], "webhook_url": url}
    with guarded.client() as http:
        answers = [http.post(SUBMIT, json=each) for each in (body, fine)]
    assert [answer.status_code for answer in answers] == [400, 400]
    messages = [answer.json()["message"] for answer in answers]
    assert messages[0].startswith("reference_images[0]: ")
    assert messages[1].startswith("webhook: ")
