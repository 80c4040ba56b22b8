"""The images of a shard, read here or by threads."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from pipelines.checks.images import Fault, LostImage
from pipelines.errors import StorageError
from pipelines.packing.images import read_images
from pipelines.packing.samples import ImageFile
from pipelines.storage.storage import Storage

COUNT = 600
AT_LEAST_HERE = 6  # two before each 256
EXPECTED = [b"%d" % n for n in range(COUNT)]
FILES = [
    ImageFile(f"row-{n}", f"images/00/{n}.png", hashlib.sha256(data).hexdigest(), str(n), "png")
    for n, data in enumerate(EXPECTED)
]


class Watched(Storage):
    """Counts the reads of each thread. It may be as slow as a network, or fail at a path."""

    delay_s = 0.0
    fails_at = ""

    def __init__(self, *args: object, **options: object) -> None:
        super().__init__(*args, **options)  # type: ignore[arg-type]  # as given
        self.by_thread: Counter[str] = Counter()

    def read(self, path: str) -> bytes:
        self.by_thread[threading.current_thread().name] += 1
        if self.delay_s:  # a sleep of 0 s lets other processes run
            time.sleep(self.delay_s)
        if path == self.fails_at:
            raise StorageError(self.uri(path), "no access", "denied")
        return super().read(path)

    @property
    def here(self) -> int:
        return self.by_thread[threading.current_thread().name]


def stored(storage: Storage, count: int) -> list[ImageFile]:
    for file, data in zip(FILES[:count], EXPECTED, strict=False):
        storage.write(file.path, data)
    return FILES[:count]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    (folder / "images/00").mkdir(parents=True)
    for file, data in zip(FILES, EXPECTED, strict=True):
        (folder / file.path).write_bytes(data)
    return folder


def test_quick_reads_of_a_local_disk_stay_in_this_thread(folder: Path) -> None:
    storage = Watched(str(folder), {})
    assert list(read_images(storage, FILES)) == EXPECTED
    assert storage.here > AT_LEAST_HERE  # on a busy machine, some take long


def test_slow_reads_of_a_local_disk_are_made_by_threads_and_stay_in_order(folder: Path) -> None:
    storage = Watched(str(folder), {})
    storage.delay_s = 0.001
    assert list(read_images(storage, FILES)) == EXPECTED
    assert storage.here == AT_LEAST_HERE
    assert sum(storage.by_thread.values()) == COUNT
    assert len(storage.by_thread) > 2


def test_a_store_is_read_by_threads() -> None:
    storage = Watched("memory://read-images", {})
    try:
        files = stored(storage, 30)
        assert list(read_images(storage, files)) == EXPECTED[:30]
        assert storage.here == 0
    finally:
        MemoryFileSystem().rm("/read-images", recursive=True)


@pytest.mark.parametrize("delay_s", [0.0, 0.001], ids=["quick", "slow"])
def test_lost_images_are_told_in_their_places(tmp_path: Path, delay_s: float) -> None:
    storage = Watched(str(tmp_path), {})
    files = stored(storage, 12)
    storage.delete(files[1].path)
    storage.write(files[4].path, b"")
    storage.write(files[9].path, b"another")
    storage.delay_s = delay_s
    found = dict(enumerate(read_images(storage, files)))
    faults: dict[int, Fault] = {1: "is missing", 4: "is empty", 9: "is not the recorded file"}
    for n, fault in faults.items():
        assert found.pop(n) == LostImage(f"row-{n}", storage.uri(files[n].path), fault)
    assert found == {n: data for n, data in enumerate(EXPECTED[:12]) if n not in faults}


@pytest.mark.parametrize("delay_s", [0.0, 0.001], ids=["quick", "slow"])
def test_a_store_that_fails_is_an_error(folder: Path, delay_s: float) -> None:
    storage = Watched(str(folder), {})
    storage.delay_s, storage.fails_at = delay_s, FILES[40].path
    with closing(read_images(storage, FILES)) as images:
        for expected in EXPECTED[:40]:
            assert next(images) == expected
        with pytest.raises(StorageError, match="no access"):
            next(images)
