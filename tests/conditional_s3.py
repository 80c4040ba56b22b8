"""An S3 server for tests that has conditional writes: moto, in this process on 127.0.0.1."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from typing import Any

import s3fs

BUCKET = "bucket"


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
