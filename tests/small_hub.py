"""A small Hugging Face Hub for tests: a real HTTP server with one dataset repository."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from tests.pipelines import http_origin
from tests.pipelines.http_origin import Answer, Origin

REPOSITORY = "datasets/owner/name"


class SmallHub:
    """A Hub whose answers can be replaced by a fault.

    Attributes:
        origin: the HTTP server.
    """

    def __init__(self, origin: Origin, files: Mapping[str, bytes]) -> None:
        """Serve `files`, by their path in the repository; all are in one folder at most."""
        self.origin = origin
        self._files = dict(files)
        self.repair()

    @property
    def options(self) -> dict[str, dict[str, Any]]:
        """Settings for `storage:` in a configuration."""
        return {"hf": {"endpoint": self.origin.url(""), "token": False}}

    def url(self, path: str) -> str:
        """Return the hf:// URL of a path in the repository."""
        return f"hf://{REPOSITORY}/{path}"

    def break_down(self, fault: Answer, *, only: str = "") -> None:
        """Answer each request whose path contains `only` with `fault`."""
        for path in self._paths():
            if only in path:
                self.origin.on(path, fault)

    def repair(self) -> None:
        """Answer every request as the Hub does."""
        for path, answer in self._paths().items():
            self.origin.on(path, answer)
        self.origin.otherwise = http_origin.status(404, X_Error_Code="EntryNotFound")

    def _paths(self) -> dict[str, Answer]:
        repository = {"id": "owner/name", "sha": "0" * 40, "private": False, "tags": []}
        paths = {f"/api/{REPOSITORY}": _json(repository)}
        folders = {name.rpartition("/")[0] for name in self._files}
        for folder in folders | {""}:
            listed: list[dict[str, Any]] = [
                {"type": "file", "path": name, "size": len(body), "oid": f"{hash(body):x}"}
                for name, body in self._files.items()
                if name.rpartition("/")[0] == folder
            ]
            if not folder:
                listed += [{"type": "directory", "path": name, "oid": "0"} for name in folders]
            tree = f"/api/{REPOSITORY}/tree/main" + (f"/{folder}" if folder else "")
            for recursive in ("true", "false"):
                paths[f"{tree}?recursive={recursive}&expand=false"] = _json(listed)
        for name, body in self._files.items():
            paths[f"/{REPOSITORY}/resolve/main/{name}"] = http_origin.ok(body)
        return paths


@contextmanager
def serving(files: Mapping[str, bytes]) -> Iterator[SmallHub]:
    """Run a Hub inside the block."""
    with http_origin.serving() as origin:
        yield SmallHub(origin, files)


def _json(document: object) -> Answer:
    return http_origin.ok(json.dumps(document).encode(), content_type="application/json")
