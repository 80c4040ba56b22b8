"""Webhooks: signed, retried, at least once, and none for a task that has not ended."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jobs.serve.store.database import open_database
from jobs.serve.store.deliveries import Delivery, DeliveryStore
from jobs.serve.store.tables import deliveries as table
from jobs.serve.webhooks import signed
from tests.jobs.serve.running import Running, config_for, running
from tests.pipelines import http_origin as http
from tests.pipelines.http_origin import Origin

SMALL = {"prompt": "a cat", "width": 32, "height": 32, "num_steps": 1}


@pytest.fixture(scope="module")
def open_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder: Path = tmp_path_factory.mktemp("webhooks")
    with running(config_for(folder, allow_http_webhooks=True)) as run:
        yield run


@pytest.fixture
def receiver() -> Iterator[Origin]:
    with http.serving() as origin:
        yield origin


def run(server: Running, webhook: str) -> str:
    body = {"app": "infsh/bytedance-uso", "input": SMALL, "webhook": webhook, "wait": True}
    with server.client() as client:
        answer = client.post("/apps/run", json=body)
    assert answer.status_code == 200, answer.text
    task_id: str = answer.json()["data"]["id"]
    return task_id


def wait_for(condition: Any) -> None:
    for _ in range(400):
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError("it did not come true within 8 s")


def test_links_in_a_webhook_have_the_name_by_which_the_client_came(
    open_server: Running, receiver: Origin
) -> None:
    by_name = open_server.url.replace("127.0.0.1", "localhost")
    url = receiver.on("/named", http.status(200))
    body = {"app": "infsh/bytedance-uso", "input": SMALL, "webhook": url, "wait": True}
    with open_server.client() as client:
        client.post(f"{by_name}/apps/run", json=body)
    wait_for(lambda: receiver.bodies)
    told = json.loads(receiver.bodies[0])
    assert told["output"]["generated_image"]["uri"].startswith(f"{by_name}/media/")


def test_a_receiver_that_hangs_delays_no_other(tmp_path: Path, receiver: Origin) -> None:
    with running(config_for(tmp_path, allow_http_webhooks=True)) as server:
        run(server, receiver.on("/hangs", http.hang))
        wait_for(lambda: receiver.hits["/hangs"])
        run(server, receiver.on("/answers", http.status(200)))
        wait_for(lambda: receiver.hits["/answers"])


def headers_of(head: str) -> dict[str, str]:
    lines = head.split("\r\n")[1:]
    return {k.lower(): v for k, _, v in (line.partition(": ") for line in lines if line)}


def test_the_signature_is_that_of_the_vendor() -> None:
    headers = signed("id", 1700000000, b'{"a":1}', "whsec_abc")
    message = b'id.1700000000.{"a":1}'
    expected = hmac.new(b"abc", message, hashlib.sha256).hexdigest()
    assert headers["webhook-signature"] == f"v3,{expected}"
    body_only = hmac.new(b"abc", b'{"a":1}', hashlib.sha256).hexdigest()
    assert headers["X-Webhook-Signature"] == f"sha256={body_only}"


def test_the_end_of_a_task_is_told(open_server: Running, receiver: Origin) -> None:
    task_id = run(open_server, receiver.on("/hook", http.status(200)))
    wait_for(lambda: receiver.bodies)
    body = json.loads(receiver.bodies[0])
    assert (body["id"], body["status"], body["status_text"]) == (task_id, 10, "completed")
    assert body["output"]["generated_image"]["uri"].startswith(open_server.url)
    headers = headers_of(receiver.requests[0])
    with open_server.client() as client:
        secret = client.get("/api/v3/webhook/secret").json()["data"]["secret"]
    timestamp = int(headers["webhook-timestamp"])
    expected = signed(headers["webhook-id"], timestamp, receiver.bodies[0], secret)
    assert headers["webhook-signature"] == expected["webhook-signature"]
    assert abs(time.time() - timestamp) < 60


def test_a_failed_attempt_is_due_again_with_the_same_id(
    open_server: Running, receiver: Origin
) -> None:
    url = receiver.on("/hook", http.status(503), http.status(200))
    run(open_server, url)
    wait_for(lambda: receiver.hits["/hook"] == 1)
    deliveries = DeliveryStore(open_server.database)

    async def now_due() -> None:
        (waiting,) = await deliveries.undelivered()
        await deliveries.retry_at(waiting, "HTTP 503", 0)

    wait_for(lambda: open_server.call(deliveries.undelivered())[0].attempts == 1)
    open_server.call(now_due())
    wait_for(lambda: receiver.hits["/hook"] == 2)
    first, second = (headers_of(head) for head in receiver.requests)
    assert first["webhook-id"] == second["webhook-id"]
    wait_for(lambda: open_server.call(deliveries.undelivered()) == [])


@pytest.mark.parametrize("path", ["/refused", "/gone"])
def test_an_answer_that_means_no_ends_the_tries(
    open_server: Running, receiver: Origin, path: str
) -> None:
    run(open_server, receiver.on(path, http.status(410)))
    deliveries = DeliveryStore(open_server.database)
    wait_for(lambda: receiver.hits[path] == 1)
    wait_for(lambda: open_server.call(deliveries.undelivered()) == [])


@pytest.mark.parametrize("url", ["http://127.0.0.1/hook", "ftp://host/hook", "https://", "x"])
def test_urls_without_tls_are_refused_by_default(server: Running, url: str) -> None:
    body = {"app": "infsh/bytedance-uso", "input": SMALL, "webhook": url}
    with server.client() as client:
        answer = client.post("/apps/run", json=body)
    assert answer.status_code == 422
    assert "webhook: give a URL that begins with https://" in answer.json()["detail"]


def test_a_delivery_whose_server_died_is_due_again(location: str) -> None:
    async def work() -> None:
        async with open_database(location) as database:
            store = DeliveryStore(database)
            async with database.writing() as connection:
                row = {"id": "d", "task_id": "t", "next_at": 0}
                await connection.execute(table.insert().values(row))
            expected = Delivery(id="d", task_id="t", attempts=0)
            assert await store.take_due(5) == [expected]
            assert await store.take_due(5) == []  # taken
            async with database.writing() as connection:
                await connection.execute(table.update().values(next_at=table.c.next_at - 60_001))
            assert await store.take_due(5) == [expected]

    asyncio.run(work())
