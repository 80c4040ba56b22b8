"""The kinds of storage that everything must work on, and a web server."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from pipelines.storage.storage import Storage
from tests.gcs_server import GcsServer
from tests.pipelines.http_origin import Origin, serving
from tests.s3_server import S3Server


@pytest.fixture(params=["local", "memory", pytest.param("s3", marks=pytest.mark.s3), "gs"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    """Return an empty output folder: on a local disk, in memory, on real S3 and GCS servers."""
    if request.param == "local":
        return Storage.at(str(tmp_path / "out"))
    if request.param == "memory":
        return Storage.at(f"memory://{secrets.token_hex(8)}/out")
    if request.param == "gs":
        gcs = cast("GcsServer", request.getfixturevalue("gcs_server"))
        return Storage.at(f"gs://{gcs.new_bucket()}/out", gcs.options)
    server = cast("S3Server", request.getfixturevalue("s3_server"))
    return Storage.at(f"s3://{server.new_bucket()}/out", server.options)


@pytest.fixture
def origin() -> Iterator[Origin]:
    """Run a web server whose answers a test sets."""
    with serving() as origin:
        yield origin
