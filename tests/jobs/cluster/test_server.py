from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import ClassVar

import pytest

from jobs.cluster import server as server_module
from jobs.cluster.server import JobServer, JobServerError


class FakeDashboard(BaseHTTPRequestHandler):
    """The dashboard of a cluster that has just started and lists its nodes only after a while.

    Attributes:
        answers: the addresses of the nodes in each answer; the last answer is repeated.
        asked: the number of answers so far.
    """

    answers: ClassVar[Sequence[Sequence[str]]]
    asked: ClassVar[int]

    def do_GET(self) -> None:
        if self.path.startswith("/api/version"):
            self._answer({"version": "4", "ray_version": "2.60.0", "ray_commit": ""})
            return
        assert self.path.startswith("/api/v0/nodes?")
        addresses = self.answers[min(self.asked, len(self.answers) - 1)]
        type(self).asked += 1
        nodes = [_node(address) for address in addresses]
        found = {"result": nodes, "partial_failure_warning": ""}
        self._answer({"result": True, "msg": "", "data": {"result": found}})

    def log_message(self, *_arguments: object) -> None:
        """Log nothing."""

    def _answer(self, value: object) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _node(address: str) -> dict[str, object]:
    texts = ("node_id", "state_message", "node_name")
    numbers = ("start_time_ms", "end_time_ms")
    return {
        **dict.fromkeys(texts, ""),
        **dict.fromkeys(numbers, 0),
        "node_ip": address,
        "is_head_node": True,
        "state": "ALIVE",
        "resources_total": {},
        "labels": {},
    }


@contextmanager
def dashboard(*answers: Sequence[str]) -> Iterator[tuple[JobServer, type[FakeDashboard]]]:
    class Own(FakeDashboard):
        asked = 0

    Own.answers = answers
    with HTTPServer(("127.0.0.1", 0), Own) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield JobServer(f"http://127.0.0.1:{server.server_address[1]}"), Own
        finally:
            server.shutdown()
            thread.join()


def test_a_cluster_without_nodes_yet_is_asked_again() -> None:
    with dashboard([], ["127.0.0.1"]) as (server, asked):
        assert server.on_this_machine()
        assert asked.asked == 2


def test_a_cluster_with_a_node_elsewhere_is_not_this_machine() -> None:
    with dashboard(["127.0.0.1", "192.0.2.1"]) as (server, asked):
        assert not server.on_this_machine()
        assert asked.asked == 1


def test_a_cluster_that_lists_no_nodes_is_not_this_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server_module, "_NODES_S", 0.3)
    with dashboard([]) as (server, asked):
        assert not server.on_this_machine()
        assert asked.asked >= 1  # once if the first answer takes all the time


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1:8265", "auto", "ray://head:10001", "http://"),
        *("http://127.0.0.1:99999", "http://127.0.0.1:port", "http://[::1"),
    ],
)
def test_an_address_that_is_not_a_url_is_rejected(address: str) -> None:
    with pytest.raises(JobServerError, match=r"--address '.*': give a URL such as"):
        JobServer(address)


@pytest.mark.parametrize("host", ["\u202e", f"{'a' * 64}.example", "a..b"])
def test_an_address_with_a_name_that_no_host_has_is_an_error(host: str) -> None:
    with pytest.raises(JobServerError, match="no job server answers there"):
        JobServer(f"http://{host}:8265")


def test_an_address_where_nothing_answers_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"http://user:secret@127.0.0.1:{taken.getsockname()[1]}"
    with pytest.raises(JobServerError, match="no job server answers there") as caught:
        JobServer(address)
    assert "secret" not in str(caught.value)
