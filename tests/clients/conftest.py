from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.jobs.serve.running import Running, config_for, running
from tests.pipelines import http_origin as http
from tests.pipelines.http_origin import Origin
from tests.pipelines.pictures import encode, picture


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Return a server that draws with the tiny model; the tests of a module share it."""
    folder: Path = tmp_path_factory.mktemp("serve")
    with running(config_for(folder, allow_http_webhooks=True)) as run:
        yield run


@pytest.fixture
def origin() -> Iterator[Origin]:
    """Return a server of reference images that has `/late.png` from the third request on."""
    content = encode(picture())
    with http.serving() as served:
        served.on("/late.png", http.status(503), http.status(503), http.ok(content))
        served.on("/ref.png", http.ok(content))
        yield served


@pytest.fixture
def reference(tmp_path: Path) -> str:
    """Return the path of a picture."""
    path = tmp_path / "ref.png"
    path.write_bytes(encode(picture()))
    return str(path)
