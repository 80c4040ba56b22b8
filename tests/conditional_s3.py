"""An S3 server for tests that has conditional writes: moto, in this process on 127.0.0.1."""

from __future__ import annotations

import contextlib
import logging
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import s3fs

from pipelines.storage.storage import Storage

BUCKET = "bucket"


KINDS = ("local", "memory", "s3")
"""The kinds of stores that have conditional writes."""


def output_on(kind: str, folder: Path, options: dict[str, dict[str, Any]]) -> Storage:
    """Return a new output on a store of one of `KINDS`, which has been looked into."""
    name = secrets.token_hex(8)
    place = {
        "local": str(folder / "out"),
        "memory": f"memory://{name}",
        "s3": f"s3://{BUCKET}/{name}",
    }[kind]
    found = Storage.at(place, options)
    found.check_writable()
    return found


@contextlib.contextmanager
def serve_conditional_s3() -> Iterator[dict[str, dict[str, Any]]]:
    """Run a server with the bucket `BUCKET` inside the block; yield its `storage:` settings."""
    from moto.server import ThreadedMotoServer  # noqa: PLC0415 - takes half a second

    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # it logs every request
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        options = {
            "endpoint_url": f"http://{host}:{port}",
            "key": "test-access-key",
            "secret": "test-secret-key",
            "client_kwargs": {"region_name": "eu-west-1"},
        }
        s3fs.S3FileSystem(**options).mkdir(BUCKET)
        yield {"s3": options}
    finally:
        server.stop()
