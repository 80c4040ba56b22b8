"""The start of a server: it listens before the slow imports, and makes a key once."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml
from typer.testing import CliRunner, Result

from jobs.cli import app
from jobs.serve.store.database import open_database
from jobs.serve.store.keys import KeyStore
from tests.jobs.serve.running import config_for, running

SLOW = (
    *("torch", "ray", "diffusers", "transformers", "pyarrow", "numpy", "alembic", "asyncpg"),
    "sqlalchemy.dialects.postgresql",
)
START = """
import json, linecache, os, sys
from pathlib import Path
import uvloop
from jobs import cli
from jobs.serve.command import load_serve_config, serve
def on_start(url, secret):
    print(json.dumps({"url": url, "secret": secret, "modules": list(sys.modules),
        "sources": list(linecache.cache)}), flush=True)
    os._exit(0)
config = load_serve_config(Path(sys.argv[1]), sys.argv[2:])
uvloop.run(serve(config, on_start))
"""


def write_config(folder: Path, location: str) -> Path:
    config = config_for(folder, database=location, port=0).model_dump(mode="json")
    path = folder / "serve.yaml"
    path.write_text(yaml.safe_dump({name: config[name] for name in ("serve", "model")}))
    return path


def started(config: Path, *overrides: str) -> dict[str, Any]:
    """Start a server until it listens, as `uso serve` does; return what it tells."""
    command = [sys.executable, "-c", START, str(config), *overrides]
    ended = subprocess.run(command, check=False, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    told: dict[str, Any] = json.loads(ended.stdout)
    return told


def test_a_server_listens_before_the_slow_imports(tmp_path: Path) -> None:
    config = write_config(tmp_path, str(tmp_path / "uso.db"))
    started(config)  # makes the tables
    modules = set(started(config)["modules"])
    assert {"uvicorn", "fastapi", "jobs.serve.pool"} <= modules
    assert modules.isdisjoint(SLOW)


def test_a_start_reads_no_source(tmp_path: Path) -> None:
    """Pydantic parses the classes of the configuration if it has to know their docstrings."""
    config = write_config(tmp_path, str(tmp_path / "uso.db"))
    assert [name for name in started(config)["sources"] if "pipelines" in name] == []


def test_the_first_start_on_this_machine_makes_a_key_once(tmp_path: Path) -> None:
    database = tmp_path / "state" / "uso.db"
    config = write_config(tmp_path, str(database))
    first, second = started(config), started(config)
    assert first["secret"].startswith("uso_")
    assert second["secret"] is None
    modes = {path.name: path.stat().st_mode & 0o777 for path in database.parent.iterdir()}
    assert modes.pop("uso.db") == 0o600
    assert {mode for name, mode in modes.items() if not name.endswith(".lock")} <= {0o600}
    assert first["secret"].encode() not in database.read_bytes()

    async def names() -> list[str]:
        async with open_database(str(database)) as opened:
            return [key.name for key in await KeyStore(opened).all()]

    assert asyncio.run(names()) == ["demo"]


def test_a_server_that_others_can_reach_makes_no_key(tmp_path: Path) -> None:
    config = write_config(tmp_path, str(tmp_path / "uso.db"))
    assert started(config, "serve.host=0.0.0.0")["secret"] is None


def test_keys_are_made_listed_and_revoked_while_the_server_runs(
    location: str, tmp_path: Path
) -> None:
    config = write_config(tmp_path, location)

    def keys(*arguments: str) -> str:
        result = CliRunner().invoke(app, ["keys", *arguments])
        assert result.exit_code == 0, result.output
        return result.stdout

    def status(secret: str) -> int:
        headers = {"Authorization": f"Bearer {secret}"}
        return httpx2.get(f"{server.url}/api/v3/balance", headers=headers).status_code

    with running(config_for(tmp_path, database=location), workers=0) as server:
        secret = keys("create", str(config), "team", "--queued", "5").strip()
        assert status(secret) == 200
        listed = json.loads(keys("list", str(config), "--json"))
        assert [(key["name"], key["limits"]["queued"]) for key in listed] == [
            ("test", None),
            ("team", 5),
        ]
        assert secret not in keys("list", str(config), "--json")
        assert "revoked team" in keys("revoke", str(config), "team")
        give_up_at = time.monotonic() + 30
        while status(secret) != 401:  # the server may know the key for `FRESH_S`
            assert time.monotonic() < give_up_at
            time.sleep(0.1)


@pytest.mark.parametrize("command", [["create", "x"], ["list"]])
def test_keys_of_a_database_that_cannot_be_opened_are_an_error(
    tmp_path: Path, command: list[str]
) -> None:
    (tmp_path / "uso.db").write_text("plain text under the name of a database " * 9)
    config = write_config(tmp_path, str(tmp_path / "uso.db"))
    result = CliRunner().invoke(app, ["keys", command[0], str(config), *command[1:]])
    assert result.exit_code == 2
    assert "serve.database" in result.stderr


def test_keys_are_made_in_the_database_of_an_override(tmp_path: Path) -> None:
    config, other = write_config(tmp_path, str(tmp_path / "uso.db")), tmp_path / "other.db"
    moved = ["--set", f"serve.database={other}"]

    def keys(*arguments: str) -> Result:
        return CliRunner().invoke(app, ["keys", arguments[0], str(config), *arguments[1:]])

    assert keys("create", "team", *moved).exit_code == 0
    assert [key["name"] for key in json.loads(keys("list", "--json", *moved).stdout)] == ["team"]
    assert json.loads(keys("list", "--json").stdout) == []
    assert keys("revoke", "team").exit_code == 2
    assert keys("revoke", "team", *moved).exit_code == 0


def test_two_valid_keys_have_two_names(tmp_path: Path) -> None:
    config = write_config(tmp_path, str(tmp_path / "uso.db"))

    def keys(*arguments: str) -> Result:
        return CliRunner().invoke(app, ["keys", arguments[0], str(config), *arguments[1:]])

    secret = keys("create", "team").stdout.strip()
    again = keys("create", "team")
    assert (again.exit_code, secret[:10] in again.stderr) == (2, True)
    assert "choose another name, or revoke it" in again.stderr.replace("\n", " ")
    assert keys("revoke", "team").exit_code == 0
    assert keys("create", "team").exit_code == 0


def test_a_key_needs_a_name(tmp_path: Path) -> None:
    config = write_config(tmp_path, str(tmp_path / "uso.db"))
    result = CliRunner().invoke(app, ["keys", "create", str(config), " "])
    assert (result.exit_code, "give a name" in result.stderr) == (2, True)
