from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.jobs.serve.running import Running, config_for, running
from tests.postgres_server import PostgresServer, serve_postgres


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A real PostgreSQL, shared by all tests; use a `new_database` in each."""
    with serve_postgres() as server:
        yield server


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def location(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The place of a new database, as `serve.database` names it: each kind in turn."""
    if request.param == "sqlite":
        return str(tmp_path / "uso.db")
    server: PostgresServer = request.getfixturevalue("postgres_server")
    return server.new_database()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Return a server that draws with the tiny model; the tests of a module share it."""
    folder: Path = tmp_path_factory.mktemp("serve")
    with running(config_for(folder)) as run:
        yield run
