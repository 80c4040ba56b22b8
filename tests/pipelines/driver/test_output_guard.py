from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pipelines.driver.output_guard import OutputGuard
from pipelines.errors import StorageError
from pipelines.failures import Failure
from pipelines.storage.storage import Storage

NOT_STORED = Failure("storage_write", "disk: full")


def test_an_output_that_works_is_left_as_it_was(tmp_path: Path) -> None:
    OutputGuard(Storage.at(str(tmp_path))).look_into(NOT_STORED)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_an_output_that_is_gone_is_told_by_its_cause(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file where the folder should be")
    guard = OutputGuard(Storage.at(str(tmp_path / "out")))
    guard.look_into(Failure("uri_timeout", "slow"))
    with pytest.raises(StorageError) as caught:
        guard.look_into(NOT_STORED)
    assert str(tmp_path / "out") in str(caught.value)


def test_an_output_that_works_is_trusted_for_a_while(tmp_path: Path) -> None:
    now = [0.0]
    guard = OutputGuard(Storage.at(str(tmp_path / "out")), clock=lambda: now[0])
    guard.look_into(NOT_STORED)
    shutil.rmtree(tmp_path / "out")
    (tmp_path / "out").write_text("")
    guard.look_into(NOT_STORED)
    now[0] = 31.0
    with pytest.raises(StorageError):
        guard.look_into(NOT_STORED)
