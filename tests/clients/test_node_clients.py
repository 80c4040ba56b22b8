"""The vendors' JavaScript clients, where there is Node."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clients.installs import node_packages, run_node
from tests.jobs.serve.running import Running
from tests.pipelines.http_origin import Origin

pytestmark = [pytest.mark.clients, pytest.mark.timeout(600)]  # the first run installs packages


@pytest.fixture(scope="module")
def packages() -> Path:
    """Return a folder with the clients."""
    return node_packages("node", "wavespeed@0.3.2", "@inferencesh/sdk@0.6.54", "esbuild@0.25.12")


def test_wavespeed(server: Running, reference: str, origin: Origin, packages: Path) -> None:
    arguments = (server.url, server.secret, reference, origin.url(""))
    assert run_node("wavespeed.mjs", packages, *arguments).endswith("ok\n")
    assert origin.hits["/429/timeout-connection.png"] == 1
    assert origin.hits["/late.png"] == 3


def test_inferencesh(server: Running, reference: str, packages: Path) -> None:
    arguments = (server.url, server.secret, reference)
    assert run_node("inferencesh.mjs", packages, *arguments).endswith("ok\n")
