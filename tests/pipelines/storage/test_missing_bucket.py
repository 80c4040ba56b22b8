"""A bucket that does not exist is an error, and no empty folder; a refused look says nothing."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from pipelines.errors import StorageError
from pipelines.storage.causes import cause_of
from pipelines.storage.files import Place
from pipelines.storage.patience import Patience
from pipelines.storage.reading import Reading
from pipelines.storage.storage import Storage
from tests.gcs_server import GcsServer
from tests.pipelines import http_origin as http
from tests.pipelines.http_origin import Answer, Origin
from tests.pipelines.storage.stores import options_at
from tests.s3_server import S3Server

READING = Reading(
    lambda uri, fault, error: StorageError(uri, cause_of(error), fault), Patience(seconds=0)
)
LOOKS: dict[str, Callable[[Storage], object]] = {
    "list": lambda storage: storage.list("records"),
    "folders": lambda storage: storage.folders("packed"),
}


def azure(origin: Origin, of_container: Answer) -> Storage:
    """Return a folder of a server that has no object, and answers so for the container itself."""
    origin.on("/devstoreaccount1/bucket?restype=container", of_container)
    return Storage.at("az://bucket/out", options_at(origin.url("")), patience_s=1)


@pytest.mark.parametrize("look", LOOKS)
def test_on_google_cloud_storage(gcs_server: GcsServer, look: str) -> None:
    there = Storage.at(f"gs://{gcs_server.new_bucket()}/out", gcs_server.options)
    assert LOOKS[look](there) == []
    with pytest.raises(StorageError, match=r"gs://nowhere/out/.*: the bucket does not exist"):
        LOOKS[look](Storage.at("gs://nowhere/out", gcs_server.options))


@pytest.mark.s3
@pytest.mark.parametrize("look", LOOKS)
def test_on_s3(s3_server: S3Server, look: str) -> None:
    there = Storage.at(f"s3://{s3_server.new_bucket()}/out", s3_server.options)
    assert LOOKS[look](there) == []
    with pytest.raises(StorageError, match="the bucket does not exist"):
        LOOKS[look](Storage.at("s3://nowhere/out", s3_server.options))


@pytest.mark.parametrize("look", LOOKS)
def test_on_azure(origin: Origin, look: str) -> None:
    storage = azure(origin, http.status(404))
    with pytest.raises(StorageError, match=r"az://bucket/out/.*: the container does not exist"):
        LOOKS[look](storage)


@pytest.mark.parametrize("look", LOOKS)
def test_who_may_not_ask_for_the_container_sees_what_is_listed(origin: Origin, look: str) -> None:
    assert LOOKS[look](azure(origin, http.status(403))) == []


def test_who_may_not_ask_for_the_bucket_sees_what_is_listed(origin: Origin) -> None:
    # A reader of objects may list them, and is refused the bucket itself.
    origin.on("/storage/v1/b/bucket", http.status(403))
    origin.otherwise = http.ok(b'{"kind": "storage#objects"}', content_type="application/json")
    storage = Storage.at("gs://bucket/out", options_at(origin.url("")), patience_s=1)
    assert storage.list("records") == []


@pytest.mark.parametrize("pattern", ["in/*.parquet", "*/m.parquet"])
def test_a_glob_names_it(gcs_server: GcsServer, pattern: str) -> None:
    with pytest.raises(StorageError, match=re.escape("no such bucket: nowhere")):
        Place(f"gs://nowhere/{pattern}", gcs_server.options, READING).find()
    there = f"gs://{gcs_server.new_bucket()}/{pattern}"
    assert Place(there, gcs_server.options, READING).find().files == []
