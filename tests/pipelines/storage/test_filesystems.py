from __future__ import annotations

import sys
from typing import Any

import gcsfs.core
import pytest

from pipelines.errors import StorageError
from pipelines.storage.filesystems import open_filesystem
from pipelines.storage.storage import Storage
from tests.pipelines.storage.stores import azure_options


def test_a_missing_extra_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "adlfs", None)
    with pytest.raises(StorageError, match=r"pip install 'uso-batch\[azure\]'"):
        open_filesystem("az://container/out", {})


def test_an_unknown_protocol() -> None:
    with pytest.raises(StorageError, match="'s33' is not known"):
        Storage.at("s33://bucket/out")


@pytest.mark.parametrize(
    "options",
    [{"endpoint": "http://h"}, {"config_kwargs": {"retry": 1}}, {"endpoint_url": "not a URL"}],
)
def test_options_that_the_filesystem_does_not_take(options: dict[str, Any]) -> None:
    with pytest.raises(StorageError, match=r"options under storage\.s3 are not accepted"):
        Storage.at("s3://bucket/out", {"s3": {"key": "k", "secret": "s", **options}})


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"account_name": "a", "account_key": "not base64!"}, "account_key"),
        (azure_options("http://127.0.0.1:9", "not base64!"), "connection_string"),
        ({"connection_string": "what?"}, "Connection string"),
        ({}, "account_name"),
    ],
)
def test_a_malformed_option_of_azure_is_named(options: dict[str, Any], named: str) -> None:
    with pytest.raises(StorageError, match=rf"under storage\.az are not accepted: .*{named}"):
        Storage.at("az://container/out", {"az": options})


def test_a_store_that_is_connected_to_at_once_and_is_away() -> None:
    with pytest.raises(StorageError, match="ConnectionRefusedError") as caught:
        Storage.at("ftp://127.0.0.1:9/out")
    assert caught.value.fault == "unavailable"


def test_google_is_not_asked_for_the_type_of_a_bucket() -> None:
    fs, _ = open_filesystem("gs://bucket/out", {"gs": {"token": "anon"}})
    assert type(fs).__mro__[2] is gcsfs.core.GCSFileSystem


def test_options_of_an_alias_and_of_another_protocol() -> None:
    own = {"endpoint_url": "http://127.0.0.1:9", "key": "AKID", "secret": "hush-hush-hush"}
    fs, path = open_filesystem("s3a://bucket/out", {"s3": own, "gs": {"token": "x"}})
    assert fs.endpoint_url == "http://127.0.0.1:9"
    assert path == "bucket/out"
