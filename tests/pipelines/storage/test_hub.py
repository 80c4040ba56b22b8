"""The Hugging Face Hub, which is asked through a client of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from huggingface_hub import close_session

from pipelines.errors import Fault, StorageError
from pipelines.storage.causes import cause_of
from pipelines.storage.files import Place
from pipelines.storage.patience import Patience
from pipelines.storage.reading import Reading
from pipelines.storage.storage import Storage
from tests import small_hub
from tests.pipelines import http_origin as http
from tests.pipelines.http_origin import Answer
from tests.small_hub import SmallHub

FILES = {"images/a.png": b"the first", "images/b.png": b"the second"}


@pytest.fixture
def hub() -> Iterator[SmallHub]:
    with small_hub.serving(FILES) as hub:
        yield hub


def told(uri: str, fault: Fault, error: Exception) -> StorageError:
    return StorageError(uri, cause_of(error), fault)


def place(hub: SmallHub, path: str, **patience: Any) -> Place:
    return Place(hub.url(path), hub.options, Reading(told, Patience(**patience)))


def test_files_are_listed_and_read(hub: SmallHub) -> None:
    files = place(hub, "images").find().files
    assert {file.inside: file.open().read() for file in files} == {
        "a.png": b"the first",
        "b.png": b"the second",
    }
    storage = Storage.at(hub.url("images"), hub.options)
    assert storage.sizes("") == {"a.png": 9, "b.png": 10}
    assert storage.read_range("b.png", 4, 7) == b"sec"


@pytest.mark.parametrize(
    "fault",
    [http.status(503), http.status(429), http.close_at_once],
    ids=["503", "429", "closed"],
)
@pytest.mark.parametrize("only", ["/tree/", "/resolve/"])
def test_its_faults_are_told_at_once(hub: SmallHub, fault: Answer, only: str) -> None:
    hub.break_down(fault, only=only)
    with pytest.raises(StorageError) as caught:
        place(hub, "images/a.png", seconds=0).find().files[0].open().read()
    assert caught.value.fault == "unavailable"
    assert [hits for path, hits in hub.origin.hits.items() if only in path][-1] == 1


def test_a_hub_that_comes_back_is_read(hub: SmallHub) -> None:
    hub.break_down(http.status(503))
    waits: list[str] = []

    def repair(_uri: str, error: BaseException) -> None:
        waits.append(str(error))
        hub.repair()

    found = Place(hub.url("images/a.png"), hub.options, Reading(told, on_wait=repair)).find()
    assert found.files[0].open().read() == b"the first"
    assert "503" in waits[0]


def test_a_file_that_is_replaced_is_seen(hub: SmallHub) -> None:
    file = place(hub, "images/a.png").find().files[0]
    hub._files["images/a.png"] = b"another one"
    hub.repair()
    assert file.looked_at().size == 11


def test_a_repository_that_is_not_there(hub: SmallHub) -> None:
    hub.break_down(http.status(404, X_Error_Code="RepoNotFound"), only="/api/")
    with pytest.raises(StorageError) as caught:
        place(hub, "images").find()
    assert caught.value.fault == "not_found"


def test_offline_mode_is_told_at_once(monkeypatch: pytest.MonkeyPatch, hub: SmallHub) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    close_session()
    try:
        with pytest.raises(StorageError, match="OfflineModeIsEnabled") as caught:
            place(hub, "images").find()
    finally:
        monkeypatch.undo()
        close_session()
    assert caught.value.fault == "unusable"
