"""Requests that no honest client sends, and the form that their answers must have."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import httpx2

from tests.jobs.serve.running import Running

RUN, PREDICT, GENERATE = "/apps/run", "/api/v3/bytedance/uso", "/v1/images/generations"
VALID: Mapping[str, Mapping[str, Any]] = {
    RUN: {"app": "infsh/bytedance-uso", "input": {"prompt": "a cat"}},
    PREDICT: {"prompt": "a cat", "reference_images": ["https://example.com/a.png"]},
    GENERATE: {"prompt": "a cat"},
}
"""Valid bodies, without the fields that may be absent."""

_NUMBERS = ("seed", "num_steps", "guidance", "keep_size", "content_long_size", "num_images")
NAMES: Mapping[str, Sequence[str]] = {
    RUN: ("app", "input", "webhook", "session", "wait", "stream"),
    PREDICT: (
        *("prompt", "reference_images", "images", "image", "size", "seed", "num_inference_steps"),
        *("guidance_scale", "num_images", "enable_sync_mode", "enable_base64_output"),
        *("webhook_url", "loras"),
    ),
    GENERATE: ("prompt", "model", "size", "n", "stream", "seed", "guidance", "keep_size"),
}
"""Fields that the submits read, and some that they pass over."""

INPUT = (
    *("prompt", "content_image", "style_image", "extra_style_image", "style_images"),
    *("style_weights", "width", "height", "unknown", *_NUMBERS),
)
"""Fields of `input` in `/apps/run`."""

OTHERS = (
    *("page", "page_size", "ids", "limit", "cursor", "filters", "files", "filename"),
    *("content_type", "size"),
)
"""Fields of the other routes."""

ODD: tuple[Any, ...] = (
    *(None, True, -1, 1.5, 10**39, "", "-1", "\u202e\u0007", "x" * 9000),
    *("data:;base64,%", "file:///etc/passwd", "http://[::1", "https://127.0.0.1/"),
    *([], [None], {}, {"uri": ["/etc"]}),
)
"""A value of each kind; all are JSON."""

RAW: Mapping[str, bytes] = {
    "not JSON": b"{",
    "a list": b"[]",
    "a number": b"1",
    "a text": b'"a"',
    "null": b"null",
    "deep lists": b"[" * 100_000,
    "deep objects": b'{"a":' * 40_000 + b"1" + b"}" * 40_000,
    "deep, not too deep for Python": b'{"input":' * 100 + b"{}" + b"}" * 100,
    "many values": b'{"a":[' + b"[]," * 300_000 + b"[]]}",
    "NaN": b'{"prompt": "a", "seed": NaN}',
    "infinite": b'{"prompt": "a", "guidance": 1e999}',
    "a long number": b'{"prompt": "a", "seed": ' + b"1" * 100_000 + b"}",
    "a key twice": b'{"prompt": "a", "prompt": "b"}',
    "half a surrogate": b'{"prompt": "\\ud800"}',
    "a surrogate in a key": b'{"\\udfff": 1}',
    "NUL": b'{"prompt": "a\\u0000b"}',
    "not UTF-8": b'{"prompt": "\xff"}',
    "UTF-16": '{"prompt": "a"}'.encode("utf-16"),
}
"""Bodies that no route accepts."""

PARTS = ("%00", "%ff..%2f..%2fetc%2fpasswd", "%0d%0aSet-Cookie:%20a=b", "🙂" + "a" * 5000)
"""Values for the parameters of paths."""


def routes(server: Running) -> list[tuple[str, str]]:
    """Return the method and the path of each route of `/openapi.json`."""
    with server.client() as http:
        paths = http.get("/openapi.json").json()["paths"]
    return [(method.upper(), path) for path, methods in paths.items() for method in methods]


def bodies(path: str) -> Iterator[Mapping[str, Any]]:
    """Yield bodies of a submit in which one field is odd: each with every other odd value."""
    valid = VALID[path]
    for place, name in enumerate(NAMES[path]):
        for value in ODD[place % 2 :: 2]:
            yield {**valid, name: value}
    for place, name in enumerate(INPUT if path == RUN else ()):
        for value in ODD[place % 2 :: 2]:
            yield {**valid, "input": {**valid["input"], name: value}}


def check(path: str, answer: httpx2.Response) -> None:
    """Check that the server has no fault; an answer that refuses has its dialect's form."""
    if path == "/readyz":
        return
    assert answer.status_code < 500, (path, answer.status_code, answer.text[:500])
    if answer.status_code < 400:
        return
    assert len(answer.content) < 10_000, (path, answer.text[:500])
    body = json.loads(answer.content)
    if path.startswith("/api/v3"):
        assert body == {"code": answer.status_code, "message": body["message"], "data": None}
        assert answer.headers["content-type"] == "application/json"
    elif path.startswith("/v1"):
        assert body["error"].keys() == {"message", "type", "param", "code"}
    else:
        assert answer.headers["content-type"] == "application/problem+json"
        assert body["detail"] == body["error"]["message"] != ""
        assert body["status"] == answer.status_code


def raw(server: Running, data: bytes, *, seconds: float = 20) -> bytes:
    """Send bytes, and return everything that the server sends until it closes the connection."""
    with socket.create_connection(address(server), seconds) as connection:
        connection.sendall(data)
        connection.settimeout(seconds)
        return read_all(connection)


def read_all(connection: socket.socket) -> bytes:
    """Return the bytes up to the end of a connection."""
    received = bytearray()
    while part := connection.recv(65536):
        received += part
    return bytes(received)


def address(server: Running) -> tuple[str, int]:
    """Return the host and the port of a server."""
    url = httpx2.URL(server.url)
    return url.host, int(url.port or 80)
