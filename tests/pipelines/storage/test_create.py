"""Files that are created only if there is none of that name."""

from __future__ import annotations

import errno
import os
import secrets
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from pipelines.storage import storage as storage_module
from pipelines.storage.faults import fault_of, is_already_there
from pipelines.storage.storage import Storage
from tests.conditional_s3 import KINDS, output_on
from tests.s3_server import S3Server

pytestmark = pytest.mark.s3


@pytest.fixture(params=KINDS)
def storage(
    request: pytest.FixtureRequest, tmp_path: Path, conditional_s3: dict[str, dict[str, Any]]
) -> Storage:
    """Return an output on each kind of store that has conditional writes."""
    return output_on(request.param, tmp_path, conditional_s3)


def test_a_file_is_created_once(storage: Storage) -> None:
    assert storage.creates
    assert storage.create("records/a", b"first")
    assert not storage.create("records/a", b"second")
    assert storage.read("records/a") == b"first"
    assert storage.list("") == ["records/a"]


def test_one_of_many_creates_it(storage: Storage) -> None:
    with ThreadPoolExecutor(8) as threads:
        created = list(threads.map(lambda n: storage.create("a", b"%d" % n), range(8)))
    assert created.count(True) == 1
    assert storage.read("a") == b"%d" % created.index(True)


def test_what_an_earlier_attempt_stored_is_its_own(storage: Storage) -> None:
    storage.write("a", b"mine")  # the store has taken it, and the answer was lost
    assert storage.create("a", b"mine")


def test_a_store_that_ignores_the_condition_is_found_out(s3_server: S3Server) -> None:
    plain = Storage.at(f"s3://{s3_server.new_bucket()}/out", s3_server.options)
    plain.check_writable()
    assert not plain.creates
    assert plain.create("a", b"first")
    assert plain.create("a", b"second"), "it does as `write`"
    assert plain.read("a") == b"second"


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOTSUP, errno.ENOSYS])
def test_a_disk_without_hard_links_is_used_without_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", refuse)
    disk = Storage.at(str(tmp_path))
    disk.check_writable()
    assert not disk.creates
    assert disk.create("a", b"first")
    assert disk.create("a", b"second")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / "a"]


def test_a_filesystem_that_cannot_be_told_to_is_used_without(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object, **__: object) -> bool:
        raise TypeError("pipe_file() got an unexpected keyword argument 'mode'")

    monkeypatch.setattr(storage_module, "create_object", refuse)
    memory = Storage.at(f"memory://{secrets.token_hex(8)}")
    memory.check_writable()
    assert not memory.creates
    assert memory.list("") == []


class HttpError(Exception):
    """An error like one of gcsfs: it holds the status and nothing else."""

    code = 412


def test_the_refusal_of_each_store_is_known() -> None:
    assert is_already_there(FileExistsError("x"))
    assert is_already_there(HttpError())
    assert not is_already_there(OSError(errno.EINVAL, "x"))
    busy: Any = OSError(errno.EBUSY, "x")
    busy.response = {"Error": {"Code": "ConditionalRequestConflict"}}
    assert fault_of(busy) == "unavailable", "another write of that name is in progress"
