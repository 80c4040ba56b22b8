"""A store that loses shards which it had acknowledged."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.errors import PackError
from pipelines.formats import LayoutName
from pipelines.packing.pack import pack
from pipelines.packing.shard import FOLDER
from pipelines.storage.local_files import Fill
from pipelines.storage.storage import Storage
from tests.pipelines.packing.outputs import (
    LAYOUTS,
    digests,
    expected_digests,
    generated,
    request,
)
from tests.pipelines.tools.report.outputs import commit


class Losing(Storage):
    """A store that loses some of the shards it has taken.

    Attributes:
        losses: number of shards that it still loses.
    """

    losses = 0

    def write_from(self, path: str, source: Path) -> str:
        uri = super().write_from(path, source)
        self._lose(path)
        return uri

    def write_with(self, path: str, fill: Fill) -> str:
        uri = super().write_with(path, fill)
        self._lose(path)
        return uri

    def write(self, path: str, data: bytes | memoryview) -> str:
        uri = super().write(path, data)
        self._lose(path)
        return uri

    def _lose(self, path: str) -> None:
        if path.startswith(FOLDER) and self.losses:
            self.losses -= 1
            self.delete(path)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_lost_shards_are_written_again(tmp_path: Path, layout: LayoutName) -> None:
    # On a disk, a folder is written as a whole.
    url = f"memory:/{tmp_path}" if layout == "folder" else str(tmp_path)
    output, dest = Storage.at(str(tmp_path / "out")), Losing(f"{url}/packed", {})
    rows = [generated(output, f"row-{n}", seed=n) for n in range(20)]
    commit(output, *rows)
    dest.losses = 2
    facts = pack(request(output, dest, layout))
    assert dest.losses == 0
    if layout == "folder":  # both losses may be in one shard, of many files
        assert facts.shards < facts.written <= facts.shards + 2
    else:
        assert facts.written == facts.shards + 2
    assert digests(dest) == expected_digests(*rows)


def test_a_store_that_loses_every_shard_is_an_error(tmp_path: Path) -> None:
    output, dest = Storage.at(str(tmp_path / "out")), Losing(str(tmp_path / "packed"), {})
    commit(output, *(generated(output, f"row-{n}", seed=n) for n in range(20)))
    dest.losses = 1000
    with pytest.raises(PackError, match=r"shards are gone.*pack again"):
        pack(request(output, dest, "webdataset"))
    assert dest.list("") == [], "no index names shards that are not there"
