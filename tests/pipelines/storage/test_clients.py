"""One rule for the clients of all stores: one request, its cause, and no waiting of their own."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import huggingface_hub
import pytest

from benchmarks.chaos.proxy import FaultProxy
from pipelines.errors import Fault, StorageError
from pipelines.storage import clients
from pipelines.storage.causes import cause_of
from pipelines.storage.files import Place
from pipelines.storage.patience import Patience
from pipelines.storage.reading import Reading
from pipelines.storage.storage import Storage
from tests.gcs_server import GcsServer
from tests.pipelines import http_origin as http
from tests.pipelines.http_origin import Answer, Origin
from tests.pipelines.storage.stores import STORES, options_at, url_of

CLOSED_PORT = "http://127.0.0.1:9"
ONCE = Patience(seconds=0)
# The retries of the clients themselves take from 23 s (the Hub) to 80 s (Azure).
LESS_THAN_A_CLIENT_WAITS_S = 12


def told(uri: str, fault: Fault, error: Exception) -> StorageError:
    return StorageError(uri, cause_of(error), fault)


def find(url: str, options: dict[str, dict[str, Any]]) -> object:
    return Place(url, options, Reading(told, ONCE)).find()


def once(url: str, options: dict[str, dict[str, Any]]) -> Storage:
    storage = Storage.at(url, options)
    storage._attempts.patience = ONCE
    return storage


def read(url: str, options: dict[str, dict[str, Any]]) -> bytes:
    folder, _, name = url.rpartition("/")
    return once(folder, options).read(name)


def write(url: str, options: dict[str, dict[str, Any]]) -> object:
    folder, _, name = url.rpartition("/")
    return once(folder, options).write(name, b"content")


def list_folder(url: str, options: dict[str, dict[str, Any]]) -> object:
    return once(url, options).list("")


def delete(url: str, options: dict[str, dict[str, Any]]) -> None:
    folder, _, name = url.rpartition("/")
    once(folder, options).delete(name)


Operation = Callable[[str, dict[str, dict[str, Any]]], object]
READS: tuple[Operation, ...] = (find, read, list_folder)
ALL: tuple[Operation, ...] = (*READS, write, delete)
OPERATIONS = {"s3": (find, write), "gs": ALL, "az": ALL, "hf": READS}
CASES = [(store, operation) for store in STORES for operation in OPERATIONS[store]]


@pytest.mark.parametrize(("store", "operation"), CASES)
def test_a_store_that_is_away_is_said_at_once_with_the_cause(
    store: str, operation: Operation
) -> None:
    started = time.monotonic()
    with pytest.raises(StorageError, match=r"(?i)connect") as caught:
        operation(url_of(store, "folder/x.parquet"), options_at(CLOSED_PORT))
    assert caught.value.fault == "unavailable"
    assert time.monotonic() - started < LESS_THAN_A_CLIENT_WAITS_S
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(("store", "operation"), CASES)
@pytest.mark.parametrize(
    ("answer", "times"),
    # aiohttp repeats a request at once if the server closes the connection before it answers.
    [(http.status(503), 1), (http.close_at_once, 2)],
    ids=["503", "closed"],
)
def test_a_client_asks_once(
    origin: Origin, store: str, operation: Operation, answer: Answer, times: int
) -> None:
    origin.otherwise = answer
    with pytest.raises(StorageError) as caught:
        operation(url_of(store, "folder/x.parquet"), options_at(origin.url("")))
    assert caught.value.fault == "unavailable"
    assert max(origin.hits.values()) <= times


@pytest.mark.parametrize(("store", "operation"), CASES)
def test_a_refusal_is_told_at_once(origin: Origin, store: str, operation: Operation) -> None:
    origin.otherwise = http.status(403)
    with pytest.raises(StorageError) as caught:
        operation(url_of(store, "folder/x.parquet"), options_at(origin.url("")))
    assert caught.value.fault == "denied"
    assert max(origin.hits.values()) == 1


@pytest.mark.parametrize(("store", "operation"), CASES)
def test_a_silent_server_is_given_up(
    monkeypatch: pytest.MonkeyPatch, origin: Origin, store: str, operation: Operation
) -> None:
    monkeypatch.setattr(clients, "SILENCE_S", 0.2)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_ETAG_TIMEOUT", 0.2)
    origin.otherwise = http.hang
    options = options_at(origin.url(""))
    options["s3"]["config_kwargs"] = {"read_timeout": 0.2}
    started = time.monotonic()
    with pytest.raises(StorageError) as caught:
        operation(url_of(store, "folder/x.parquet"), options)
    assert caught.value.fault == "unavailable"
    assert time.monotonic() - started < LESS_THAN_A_CLIENT_WAITS_S


@pytest.mark.parametrize("store", ["gs", "az", "s3"])
def test_the_patience_of_the_run_holds(store: str) -> None:
    storage = Storage.at(url_of(store, "out"), options_at(CLOSED_PORT), patience_s=0.5)
    started = time.monotonic()
    with pytest.raises(StorageError, match=r"(?i)connect.*check the endpoint"):
        storage.write("a", b"content")
    assert 0.5 <= time.monotonic() - started < LESS_THAN_A_CLIENT_WAITS_S


def test_a_store_that_comes_back_is_used_at_once(gcs_server: GcsServer) -> None:
    behind = urlsplit(gcs_server.endpoint_url)
    assert behind.hostname is not None
    assert behind.port is not None
    with FaultProxy((behind.hostname, behind.port), seed=1).serving() as proxy:
        options = {"gs": {**gcs_server.options["gs"], "endpoint_url": proxy.url}}
        storage = Storage.at(f"gs://{gcs_server.new_bucket()}/out", options)
        proxy.go_away(0.5)
        started = time.monotonic()
        storage.write("a", b"content")
        assert time.monotonic() - started < LESS_THAN_A_CLIENT_WAITS_S
        assert storage.read("a") == b"content"
