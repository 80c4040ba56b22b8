"""Clients that are slow, many, rude or gone: clear answers, and others are served."""

from __future__ import annotations

import json
import resource
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx2
import pytest

from jobs.serve import bodies, connections
from tests.jobs.serve.hostile import address, raw, read_all
from tests.jobs.serve.running import Running, config_for, running
from tests.jobs.serve.test_media import announced

HALF_A_HEAD = b"GET /healthz HTTP/1.1\r\nHost: x\r\n"
HEALTHZ = HALF_A_HEAD + b"\r\n"
LAST = HALF_A_HEAD + b"Connection: close\r\n\r\n"


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Return a server that has room for few connections, and no actors."""
    folder: Path = tmp_path_factory.mktemp("crowded")
    with running(config_for(folder, max_connections=8), workers=0) as run:
        run.connections.head_s = 1
        run.connections.stall_s = 0.5
        run.connections.linger_s = 0.5
        yield run


def connect(server: Running, data: bytes = b"") -> socket.socket:
    connection = socket.create_connection(address(server), 20)
    connection.sendall(data)
    return connection


def status_of(answer: bytes) -> int:
    return int(answer[9:12])


def test_the_head_of_a_request_has_its_time(crowded: Running) -> None:
    with connect(crowded, HALF_A_HEAD) as connection:
        answer = read_all(connection)
    assert status_of(answer) == 408
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"] == "request_timeout"


def test_the_time_of_a_head_is_not_renewed_by_its_bytes(crowded: Running) -> None:
    with connect(crowded, HALF_A_HEAD) as connection:
        connection.settimeout(0.1)
        received, give_up_at = b"", time.monotonic() + 15
        while not received and time.monotonic() < give_up_at:
            connection.sendall(b"a: b\r\n")
            try:
                received = connection.recv(65536)
            except TimeoutError:
                continue
    assert status_of(received) == 408


def test_slow_heads_make_room_for_others(crowded: Running) -> None:
    with ExitStack() as stack:
        for _ in range(30):
            stack.enter_context(connect(crowded, HALF_A_HEAD))
        assert httpx2.get(f"{crowded.url}/healthz").status_code == 200
    assert len(crowded.connections) <= 9


@pytest.mark.parametrize("path", ["/tasks/x", "/api/v3/models", "/v1/models"])
def test_one_connection_too_many_is_told_so(crowded: Running, path: str) -> None:
    with crowded.client() as http, ExitStack() as stack:
        body = {"app": "infsh/bytedance-uso", "input": {"prompt": "a"}}
        task = http.post("/apps/run", json=body).json()["data"]["id"]
        head = f"GET /tasks/{task}/stream HTTP/1.1\r\nHost: x\r\n"
        head += f"Authorization: Bearer {crowded.secret}\r\n\r\n"
        for _ in range(8):  # one of them takes the place of the idle one of `http`
            stream = stack.enter_context(connect(crowded, head.encode()))
            assert status_of(stream.recv(65536)) == 200
        answer = raw(crowded, f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert status_of(answer) == 503
        assert b"retry-after: 5" in answer.lower()
        assert b"too many connections are open" in answer
        assert b'"code":503' in answer or b'"error":' in answer
        assert status_of(raw(crowded, LAST)) == 200  # a probe is answered all the same


def test_requests_in_one_piece_are_answered_in_turn(crowded: Running) -> None:
    assert raw(crowded, HEALTHZ * 3 + LAST).count(b"HTTP/1.1 200 OK") == 4


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"b" * 40_000,
        b"GET /" + b"a" * 40_000,
        b"POST /files HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST /files HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nA\x00B: c\r\n\r\n",
    ],
    ids=["TLS", "no host", "long header", "long path", "two lengths", "a length below 0", "NUL"],
)
def test_bytes_that_are_no_request(crowded: Running, data: bytes) -> None:
    answer = raw(crowded, data)
    assert status_of(answer) == 400
    assert b"application/problem+json" in answer


def test_a_body_has_its_time(crowded: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "_PATIENCE_S", 0.5)
    for path in ("/apps/run", "/api/v3/bytedance/uso"):
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {crowded.secret}\r\n"
        with connect(crowded, head.encode() + b"Content-Length: 100\r\n\r\n{") as connection:
            answer = connection.recv(65536)
            assert status_of(answer) == 408
            assert b"too slowly" in answer or b"too slowly" in connection.recv(65536)
            assert read_all(connection) == b""  # and is closed, since the body never ends


@pytest.mark.parametrize("key", [True, False])
@pytest.mark.parametrize("chunked", [True, False])
def test_a_gigabyte_is_refused_unread(crowded: Running, key: bool, chunked: bool) -> None:
    head = "POST /apps/run HTTP/1.1\r\nHost: x\r\n"
    head += f"Authorization: Bearer {crowded.secret}\r\n" if key else ""
    head += (
        "Transfer-Encoding: chunked\r\n\r\n" if chunked else "Content-Length: 1000000000\r\n\r\n"
    )
    with connect(crowded, head.encode()) as connection:
        part = b"10000\r\n" + b" " * 65536 + b"\r\n" if chunked else b" " * 65536
        sent = send_until_refused(connection, part, 10**9)
        answer = connection.recv(65536)
    assert status_of(answer) == (413 if key else 401)
    assert sent < 400 * 10**6


def send_until_refused(connection: socket.socket, part: bytes, most: int) -> int:
    """Send parts until there is an answer, and return the number of bytes."""
    sent = 0
    while sent < most:
        try:
            connection.sendall(part)
        except OSError:
            return sent
        sent += len(part)
        connection.setblocking(False)
        try:
            if connection.recv(1, socket.MSG_PEEK):
                return sent
        except BlockingIOError:
            pass
        finally:
            connection.settimeout(20)
    return sent


def test_an_upload_that_stops_half_way_leaves_nothing(
    crowded: Running, caplog: pytest.LogCaptureFixture
) -> None:
    file_id, url = announced(crowded, 100)
    path = url.removeprefix(crowded.url)
    head = f"PUT {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n"
    connect(crowded, head.encode() + b"a" * 50).close()
    give_up_at = time.monotonic() + 10
    while len(crowded.connections) and time.monotonic() < give_up_at:
        time.sleep(0.02)
    assert crowded.call(crowded.service.files.get(file_id)).path is None
    with crowded.client() as http:
        assert http.put(url, content=b"b" * 100).status_code == 204
    assert "request_failed" not in caplog.text


def test_a_client_that_reads_nothing_is_dropped(crowded: Running) -> None:
    file_id, url = announced(crowded, None)
    with crowded.client() as http:
        http.put(url, content=bytes(19 * 10**6)).raise_for_status()
    read = crowded.service.links.read("", file_id, "a", int(time.time()) + 60)
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(address(crowded))
        connection.sendall(f"GET {read} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert connection.recv(9) == b"HTTP/1.1 "
        give_up_at = time.monotonic() + 20
        while len(crowded.connections) and time.monotonic() < give_up_at:
            time.sleep(0.05)
        assert len(crowded.connections) == 0


def test_a_client_that_reads_slowly_gets_everything(crowded: Running) -> None:
    file_id, url = announced(crowded, None)
    with crowded.client() as http:
        http.put(url, content=bytes(8 * 10**6)).raise_for_status()
    read = crowded.service.links.read("", file_id, "a", int(time.time()) + 60)
    with connect(crowded, f"GET {read} HTTP/1.0\r\nHost: x\r\n\r\n".encode()) as connection:
        received = 0
        while part := connection.recv(300_000):
            received += len(part)
            time.sleep(0.05)
    assert received > 8 * 10**6


def test_the_bound_of_connections_leaves_files_for_the_rest(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    limits = [(1024, 20_000)]
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda _, new: limits.append(new))
    assert connections.bound_of_connections(10_000) == 10_000
    assert limits[-1] == (10_576, 20_000)
    limits.append((1024, 4096))
    assert connections.bound_of_connections(10_000) == 4096 - 576
    assert "raise `ulimit -n`" in caplog.text
