"""Servers and stores that several tests share; settings of hypothesis and the garbage collector."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import settings

from tests.conditional_s3 import serve_conditional_s3
from tests.gcs_server import GcsServer, serve_gcs
from tests.s3_server import S3Server, serve_s3
from tests.turns import (
    pytest_collection_modifyitems,
    pytest_configure_node,
    pytest_runtest_protocol,
)

__all__ = ["pytest_collection_modifyitems", "pytest_configure_node", "pytest_runtest_protocol"]

# Ray starts workers at niceness 15: beside another busy process they hardly get a turn, and a test
# then waits for minutes.
os.environ.setdefault("RAY_worker_niceness", "0")
os.environ["USO_CALIBRATION_FILE"] = ""  # measurements of tests must not enter the user's own plans

# The same examples in every run, so that only a change can cause a failure.
settings.register_profile("repeatable", derandomize=True, deadline=None, max_examples=100)
settings.load_profile("repeatable")


def pytest_collection_finish() -> None:
    """Freeze imported objects: later collections skip them and stay fast."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A real S3-compatible server on 127.0.0.1, shared by all tests; use a `new_bucket` in each."""
    with serve_s3(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture(scope="session")
def conditional_s3() -> Iterator[dict[str, dict[str, Any]]]:
    """A server with conditional writes, which `s3_server` lacks; yields its `storage:` settings."""
    with serve_conditional_s3() as options:
        yield options


@pytest.fixture(scope="session")
def gcs_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GcsServer]:
    """A real server of Google Cloud Storage's API, shared by all tests; use a `new_bucket`."""
    with serve_gcs(tmp_path_factory.mktemp("gcs")) as server:
        yield server
