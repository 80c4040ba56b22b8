"""Metrics and the access log."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from pathlib import Path

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families

from jobs.serve.access import logger
from jobs.serve.listen import listen
from jobs.serve.metrics_server import metrics_server
from pipelines.telemetry.logs import JsonFormatter
from tests.jobs.serve.running import Running, config_for, running

BODY = {
    "app": "infsh/bytedance-uso",
    "input": {"prompt": "a secret cat", "width": 32, "height": 32},
}
Samples = Mapping[tuple[str, frozenset[tuple[str, str]]], float]


def samples(url: str) -> Samples:
    text = httpx2.get(f"{url}/metrics").raise_for_status().text
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(found: Samples, name: str, **labels: str) -> float:
    return found.get((f"uso_serve_{name}", frozenset(labels.items())), 0)


def test_metrics_count_what_happens(server: Running) -> None:
    before = samples(server.url)
    with server.client() as http:
        http.post("/apps/run", json={**BODY, "wait": True}).raise_for_status()
        http.post("/apps/run", json={})
        http.get("/nowhere")
    after = samples(server.url)

    def more(name: str, **labels: str) -> float:
        return value(after, name, **labels) - value(before, name, **labels)

    run = "POST /apps/run"
    assert more("requests_total", route=run, code="200") == 1
    assert more("requests_total", route=run, code="422") == 1
    assert more("requests_total", route="none", code="404") == 1
    assert more("request_seconds_count", route=run) == 2
    assert more("tasks_accepted_total", key=server.secret[:10]) == 1
    assert more("tasks_ended_total", state="completed") == 1
    assert more("queue_seconds_count") == more("draw_seconds_count") == 1
    assert value(after, "connections") >= 1
    assert value(after, "tasks", state="queued") == value(after, "open_streams") == 0


def test_metrics_tell_of_waiting_tasks_and_streams(tmp_path: Path) -> None:
    with running(config_for(tmp_path), workers=0) as server, server.client() as http:
        task = http.post("/apps/run", json=BODY).json()["data"]
        with http.stream("GET", f"/tasks/{task['id']}/stream") as stream:
            events = stream.iter_lines()
            next(events)
            found = samples(server.url)
    assert value(found, "tasks", state="queued") == value(found, "open_streams") == 1
    assert 0 < value(found, "oldest_queued_seconds") < 60


def test_labels_are_bounded(server: Running) -> None:
    with server.client() as http:
        for number in range(20):
            http.get(f"/tasks/{number}")
            http.get(f"/x/{number}")
            http.request(f"ODD{number}", "/")
    for number in range(150):
        server.service.metrics.note_accepted(f"uso_{number}")
    routes = {dict(labels).get("route") for _, labels in samples(server.url)}
    keys = {dict(labels).get("key") for _, labels in samples(server.url)} - {None}
    assert "GET /tasks/{task_id}" in routes
    assert not any(part.isdigit() for route in routes if route for part in route.split("/"))
    assert len(keys) <= 101


def test_metrics_can_have_a_port_of_their_own(tmp_path: Path) -> None:
    with listen("127.0.0.1", 0, "") as free:
        port = free.getsockname()[1]
    with running(config_for(tmp_path, metrics_port=port), workers=0) as server:
        own = metrics_server(server.service)
        server.call(own.__aenter__())
        assert value(samples(f"http://127.0.0.1:{port}"), "connections") == 0
        assert httpx2.get(f"http://127.0.0.1:{port}/apps/list").status_code == 404
        assert httpx2.get(f"{server.url}/metrics").status_code == 404
        server.call(own.__aexit__(None, None, None))


def lines(caplog: pytest.LogCaptureFixture, count: int) -> list[logging.LogRecord]:
    """Return the lines of the log, the last of which come just after their answers."""
    give_up_at = time.monotonic() + 10
    while len(caplog.records) < count and time.monotonic() < give_up_at:
        time.sleep(0.01)
    return caplog.records


def as_json(records: list[logging.LogRecord]) -> list[dict[str, object]]:
    return [json.loads(JsonFormatter().format(record)) for record in records]


def test_a_line_for_each_request(server: Running, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger.name)
    with server.client() as http:
        named = {"X-Client-Name": "wavespeed-python"}
        task = http.post("/apps/run", json={**BODY, "wait": True}, headers=named).json()["data"]
        http.get(task["output"]["generated_image"]["uri"]).raise_for_status()
        http.get("/healthz")
    run, image = as_json(lines(caplog, 2))
    assert run["event"] == "request_served"
    assert (run["route"], run["status"]) == ("POST /apps/run", 200)
    assert run["client"] == "wavespeed-python"
    assert (run["key"], run["task_id"]) == (server.secret[:10], task["id"])
    assert float(str(run["ms"])) > 0
    assert int(str(run["bytes_in"])) > 50
    assert image["route"] == "GET /media/{file_id}/{filename}"
    assert image["bytes_out"] == task["output"]["generated_image"]["size"]


def test_no_line_has_a_secret(server: Running, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger.name)
    with server.client() as http:
        task = http.post("/apps/run", json={**BODY, "wait": True}).json()["data"]
        uri = task["output"]["generated_image"]["uri"]
        http.get(uri)
        http.get("/tasks/x?key=hidden", headers={"Authorization": "Bearer uso_wrongwrongwrong"})
    text = "\n".join(JsonFormatter().format(record) for record in lines(caplog, 3))
    assert text.count('"request_served"') == 3
    signature = uri.partition("&s=")[2]
    for secret in (server.secret, signature, "hidden", "wrongwrong", '"prompt"', "?"):
        assert secret not in text


def test_a_line_stays_one_line(server: Running, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger.name)
    client = b"a\x1b[2J status=200 \x85 \x7f"
    with server.client() as http:
        http.get("/tasks/a%0d%0ab", headers=[(b"X-Client-Name", client)])
    (line,) = [record.getMessage() for record in lines(caplog, 1)]
    assert line.isprintable()
    assert "client='a\\x1b[2J status=200" in line
