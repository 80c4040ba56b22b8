"""A fake Hub on 127.0.0.1 that serves folders and can refuse requests."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

COMMIT = "c0ffee" + "0" * 34


@dataclass
class FakeHub:
    """Serves each folder as a repository whose main branch is at `COMMIT`.

    Attributes:
        folders: repository id → its files.
        refusals: repository id → (status, error code) for each of its files.
        downloads: paths of the files that have been downloaded.
    """

    folders: dict[str, Path]
    refusals: dict[str, tuple[int, str]] = field(default_factory=dict)
    downloads: list[str] = field(default_factory=list)
    url: str = ""

    @contextmanager
    def serving(self) -> Iterator[FakeHub]:
        hub = self

        class Handler(_Handler):
            served = hub

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    served: FakeHub

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        pass

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        parts = unquote(urlsplit(self.path).path).strip("/").split("/")
        is_api = parts[:2] == ["api", "models"]
        parts = parts[2:] if is_api else parts
        repo_id, rest = "/".join(parts[:2]), parts[2:]
        if repo_id not in self.served.folders:
            self._refuse(404, "RepoNotFound")
        elif rest[:1] == ["revision"] and rest[1] not in {"main", COMMIT}:
            self._refuse(404, "RevisionNotFound")
        elif rest[:1] in (["resolve"], ["auth-check"]) and repo_id in self.served.refusals:
            self._refuse(*self.served.refusals[repo_id])
        elif is_api:
            self._describe(repo_id, self.served.folders[repo_id], rest)
        else:
            self._file("/".join(parts), self.served.folders[repo_id] / "/".join(rest[2:]))

    def _describe(self, repo_id: str, folder: Path, rest: list[str]) -> None:
        files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
        names = [path.relative_to(folder).as_posix() for path in files]
        if rest[:1] == ["tree"]:
            entries = [
                {"type": "file", "path": name, "size": path.stat().st_size, "oid": _etag(path)}
                for name, path in zip(names, files, strict=True)
            ]
            self._send(json.dumps(entries).encode())
        else:
            siblings = [{"rfilename": name} for name in names]
            self._send(json.dumps({"id": repo_id, "sha": COMMIT, "siblings": siblings}).encode())

    def _file(self, path: str, file: Path) -> None:
        if not file.is_file():
            self._refuse(404, "EntryNotFound")
            return
        if self.command == "GET":
            self.served.downloads.append(path)
        self._send(file.read_bytes(), {"ETag": f'"{_etag(file)}"', "X-Repo-Commit": COMMIT})

    def _refuse(self, status: int, code: str) -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("X-Error-Message", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _send(self, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(200)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)


def _etag(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:40]
