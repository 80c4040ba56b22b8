"""The stores that the rounds run on: real servers on this machine, each behind the faulty proxy."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pipelines.storage.storage import Storage
from tests.azurite_server import serve_azure
from tests.gcs_server import serve_gcs
from tests.pipelines.storage.stores import azure_options
from tests.s3_server import serve_s3

Scheme = Literal["s3", "gs", "az"]
STORES: tuple[Scheme, ...] = ("s3", "gs", "az")
_KEY, _SECRET, _CONNECTION = "CHAOS_S3_KEY", "CHAOS_S3_SECRET", "CHAOS_AZURE_CONNECTION"


@dataclass(frozen=True, slots=True)
class Store:
    """A running server.

    Attributes:
        scheme: the scheme of its URLs.
        endpoint_url: its own URL, not the proxy's.
        options: `storage:` settings for this process, which asks the server itself.
        folder: a local folder for copies of what the server holds.
        new_bucket: creates an empty bucket or container, and returns its name.
        settings_at: returns the `storage:` settings of the runs, for the proxy's URL.
        variables_at: returns the environment variables that they name.
    """

    scheme: Scheme
    endpoint_url: str
    options: Mapping[str, Mapping[str, Any]]
    folder: Path
    new_bucket: Callable[[], str]
    settings_at: Callable[[str], dict[str, Any]]
    variables_at: Callable[[str], dict[str, str]] = field(default=lambda _: {})

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the server."""
        parts = urlsplit(self.endpoint_url)
        assert parts.hostname is not None
        assert parts.port is not None
        return parts.hostname, parts.port

    def put(self, bucket: str, folder: Path) -> None:
        """Store the files below a local folder in a bucket."""
        storage = Storage.at(f"{self.scheme}://{bucket}", self.options)
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                storage.write(path.relative_to(folder).as_posix(), path.read_bytes())

    def copy(self, bucket: str, name: str) -> None:
        """Copy everything below a folder of a bucket into `folder`."""
        storage = Storage.at(f"{self.scheme}://{bucket}/{name}", self.options)
        for path in storage.list(""):
            here = self.folder / bucket / name / path
            here.parent.mkdir(parents=True, exist_ok=True)
            here.write_bytes(storage.read(path))


@contextlib.contextmanager
def serve_store(scheme: Scheme, folder: Path) -> Iterator[Store]:
    """Run a server inside the block; its files, and copies of them, are below `folder`."""
    copies = folder / "copies"
    if scheme == "s3":
        with serve_s3(folder / "s3") as s3:
            settings = {"key": f"${{{_KEY}}}", "secret": f"${{{_SECRET}}}"}
            region = {"client_kwargs": {"region_name": "us-east-1"}}
            yield Store(
                *("s3", s3.endpoint_url, s3.options, copies, s3.new_bucket),
                lambda url: {"s3": {"endpoint_url": url, **settings, **region}},
                lambda _: {_KEY: s3.key, _SECRET: s3.secret},
            )
    elif scheme == "gs":
        with serve_gcs(folder / "gcs") as gcs:
            yield Store(
                *("gs", gcs.endpoint_url, gcs.options, copies, gcs.new_bucket),
                lambda url: {"gs": {**gcs.options["gs"], "endpoint_url": url}},
            )
    else:
        with serve_azure(folder / "azure") as azure:
            yield Store(
                *("az", azure.endpoint_url, azure.options, copies, azure.new_bucket),
                lambda _: {"az": {"connection_string": f"${{{_CONNECTION}}}"}},
                lambda url: {_CONNECTION: azure_options(url)["connection_string"]},
            )
