"""A real PostgreSQL server for tests, on 127.0.0.1, from the programs of the distribution.

`make test-postgres` says how to install them.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.server_process import free_port

_START_S = 30
# Tests of crashes kill processes, never the machine, so nothing has to reach the disk.
_OPTIONS = ("-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "max_connections=60")


@dataclass
class PostgresServer:
    """A running server.

    Attributes:
        folder: holds its data, its socket and its log.
        port: its port.
    """

    folder: Path
    port: int

    def new_database(self) -> str:
        """Create a new, empty database and return its URL."""
        name = f"uso_{secrets.token_hex(4)}"
        self.sql(f"CREATE DATABASE {name}", "postgres")
        return f"postgresql://uso@127.0.0.1:{self.port}/{name}"

    def sql(self, statement: str, database: str) -> str:
        """Run a statement in a database, and return what psql prints."""
        command = [_program("psql"), "-X", "-q", "-A", "-t", "-h", "127.0.0.1", "-U", "uso"]
        command += ["-p", str(self.port), "-d", database, "-c", statement]
        ended = subprocess.run(command, check=True, capture_output=True, text=True)
        return ended.stdout.strip()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = " ".join(_OPTIONS) + f" -p {self.port} -k {self.folder}"
        self._control(
            "start", "-w", "-t", str(_START_S), "-l", str(self.folder / "log"), "-o", options
        )

    def stop(self, mode: str = "fast") -> None:
        """Stop it: `fast` ends all connections, `immediate` is like a crash."""
        self._control("stop", "-w", "-m", mode)

    def kill(self) -> None:
        """Send SIGKILL to its processes, and wait until they are gone."""
        processes = self._processes()
        for process in processes:
            process.kill()
        psutil.wait_procs(processes, timeout=_START_S)
        (self.folder / "data" / "postmaster.pid").unlink()

    @contextlib.contextmanager
    def halted(self) -> Iterator[None]:
        """Suspend its processes inside the block: connections stay open, and nothing answers."""
        processes = self._processes()
        for process in processes:
            process.suspend()
        try:
            yield
        finally:
            for process in processes:
                process.resume()

    def _processes(self) -> list[psutil.Process]:
        pid = (self.folder / "data" / "postmaster.pid").read_text().partition("\n")[0]
        first = psutil.Process(int(pid))
        return [first, *first.children(recursive=True)]  # the first one would start others again

    def _control(self, *arguments: str) -> None:
        _run_as_owner(self.folder, _program("pg_ctl"), "-D", str(self.folder / "data"), *arguments)


@contextlib.contextmanager
def serve_postgres() -> Iterator[PostgresServer]:
    """Run a server on a free port inside the block."""
    with tempfile.TemporaryDirectory(prefix="uso-postgres-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        owner = _owner()
        if owner is not None:
            os.chown(folder, owner.pw_uid, owner.pw_gid)
        data = str(folder / "data")
        options = ("-U", "uso", "--auth=trust", "-E", "UTF8", "--no-sync", "--locale=C")
        _run_as_owner(folder, _program("initdb"), "-D", data, *options)
        server = PostgresServer(folder, free_port())
        server.start()
        try:
            yield server
        finally:
            server.stop("immediate")


def _program(name: str) -> str:
    """Return the path of a program; Debian keeps most of them in a folder for each version."""
    found = shutil.which(name)
    if found is not None:
        return found
    installed = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    if not installed:
        message = "no PostgreSQL; on Debian and Ubuntu: apt-get install -y postgresql"
        raise FileNotFoundError(message)
    return str(installed[-1])


def _owner() -> pwd.struct_passwd | None:
    """Return the user whom the server runs as; None: this one. It refuses to run as root."""
    return pwd.getpwnam("postgres") if os.geteuid() == 0 else None


def _run_as_owner(folder: Path, *command: str) -> None:
    owner = _owner()
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C"}
    with (folder / "commands.log").open("a") as log:
        try:
            subprocess.run(
                command,
                check=True,
                cwd=folder,
                env=environment,
                stdout=log,
                stderr=log,
                user=None if owner is None else owner.pw_uid,
                group=None if owner is None else owner.pw_gid,
            )
        except subprocess.CalledProcessError as error:
            text = (folder / "commands.log").read_text(errors="replace")
            raise RuntimeError(f"{command[0]} failed: {text}") from error
