"""Fetching local files."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.pipelines.fetch.fetchers import PNG, Make, failure_of


def test_local_files_can_be_switched_off(make: Make, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(PNG)
    fetcher = make(allow_local_files=False)
    assert failure_of(fetcher, str(tmp_path / "a.png")).code == "uri_refused"
    assert failure_of(fetcher, f"file://{tmp_path}/a.png").code == "uri_refused"
    assert fetcher.fetch(PNG).size == (48, 32)


def test_local_roots_hold_against_dots_links_and_lookalikes(make: Make, tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "root-too"
    root.mkdir()
    outside.mkdir()
    (outside / "a.png").write_bytes(PNG)
    (root / "b.png").write_bytes(PNG)
    (root / "link.png").symlink_to(outside / "a.png")
    (root / "dir").symlink_to(outside)
    (root / "inner.png").symlink_to(root / "b.png")
    fetcher = make(local_roots=[str(root)])
    assert fetcher.fetch(str(root / "b.png")).size == (48, 32)
    assert fetcher.fetch(str(root / "inner.png")).size == (48, 32)
    for escape in ("link.png", "dir/a.png", "../root-too/a.png", "%2e%2e/root-too/a.png"):
        for uri in (f"{root}/{escape}", f"file://{root}/{escape}"):
            assert failure_of(fetcher, uri).code in ("uri_refused", "uri_not_found"), uri
    assert failure_of(fetcher, str(outside / "a.png")).code == "uri_refused"


def test_anything_but_a_readable_file_fails(make: Make, tmp_path: Path) -> None:
    fetcher = make(max_mb=0.001)
    assert failure_of(fetcher, str(tmp_path / "none.png")).code == "uri_not_found"
    assert failure_of(fetcher, str(tmp_path)).code == "uri_not_found"
    assert failure_of(fetcher, f"{tmp_path}/a\0b").code == "uri_not_found"
    os.mkfifo(tmp_path / "pipe")
    assert failure_of(fetcher, str(tmp_path / "pipe")).code == "uri_not_found"
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert failure_of(fetcher, str(tmp_path / "loop")).code == "uri_not_found"
    (tmp_path / "big.png").write_bytes(bytes(1001))
    assert failure_of(fetcher, str(tmp_path / "big.png")).code == "uri_too_large"
    assert failure_of(fetcher, "/dev/zero").code == "uri_not_found"


@pytest.mark.skipif(sys.platform != "linux", reason="needs a file that can be opened and not read")
def test_a_disk_that_fails_says_nothing_about_the_path(make: Make) -> None:
    failure = failure_of(make(), "/proc/self/mem")
    assert (failure.code, failure.retryable) == ("uri_timeout", True)
    assert "Input/output error" in failure.message
