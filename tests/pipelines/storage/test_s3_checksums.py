"""S3 uploads: no checksum trailer, which many S3-compatible stores reject, unless asked for."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from pipelines.storage.storage import Storage

_IN_PARTS = 100 * 2**20 + 1  # s3fs uploads an object of this size in parts of 50 MiB
_STARTED = b"<InitiateMultipartUploadResult><UploadId>u1</UploadId></InitiateMultipartUploadResult>"
_ENDED = b"<CompleteMultipartUploadResult><ETag>e</ETag></CompleteMultipartUploadResult>"


@contextmanager
def recording_s3() -> Iterator[tuple[str, list[dict[str, str]]]]:
    """Run a store that accepts every upload; yields its URL and the headers of each request."""
    seen: list[dict[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # with which it answers `Expect: 100-continue`

        def do_PUT(self) -> None:
            self._answer(b"")

        def do_POST(self) -> None:
            self._answer(_STARTED if self.path.endswith("uploads") else _ENDED)

        def _answer(self, body: bytes) -> None:
            seen.append({name.lower(): value for name, value in self.headers.items()})
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(200)
            self.send_header("ETag", '"e"')
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", seen
        finally:
            server.shutdown()
            thread.join()


def checksum_headers(headers: Mapping[str, str]) -> list[str]:
    """Return the headers of a request that announce or carry a checksum of S3's newer kind."""
    found = [f"{name}: {value}" for name, value in headers.items() if "checksum" in name]
    found += [f"{name}: {headers[name]}" for name in ("x-amz-trailer",) if name in headers]
    return found + [value for value in headers.values() if "aws-chunked" in value]


def uploaded(local: Path | None = None, **own: Any) -> list[dict[str, str]]:
    """Store an object with these options, and return the headers of the requests."""
    with recording_s3() as (url, seen):
        options = {"endpoint_url": url, "key": "k", "secret": "s", **own}
        storage = Storage.at("s3://bucket/out", {"s3": options})
        if local is None:
            storage.write("a.bin", b"123")
        else:
            storage.write_from("a.bin", local)
    return seen


def test_an_upload_has_no_checksum_trailer() -> None:
    (headers,) = uploaded()
    assert checksum_headers(headers) == []


def test_an_upload_in_parts_has_no_checksum_trailer(tmp_path: Path) -> None:
    local = tmp_path / "a.bin"
    with local.open("wb") as file:
        file.truncate(_IN_PARTS)
    seen = uploaded(local)
    assert len(seen) == 5
    assert [found for headers in seen if (found := checksum_headers(headers))] == []


def test_other_client_options_leave_the_default() -> None:
    seen = uploaded(config_kwargs={"read_timeout": 20}, client_kwargs={"region_name": "auto"})
    assert [found for headers in seen if (found := checksum_headers(headers))] == []


def test_the_user_can_ask_for_checksums() -> None:
    (headers,) = uploaded(config_kwargs={"request_checksum_calculation": "when_supported"})
    assert checksum_headers(headers) != []
