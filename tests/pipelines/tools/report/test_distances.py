from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipelines.psnr import psnr
from pipelines.storage.storage import Storage
from pipelines.tools.report.distances import PSNR, Distances, LowPair, pairs_of
from pipelines.tools.report.picture_table import PictureTable
from pipelines.tools.report.row_table import Row, RowTable
from tests.pipelines.pictures import encode, picture
from tests.pipelines.tools.report.outputs import (
    boot,
    commit,
    data_file,
    failed,
    generated,
    reported,
    rows_of,
)
from tests.pipelines.tools.report.plain_rows import batch_of


class CountingStorage(Storage):
    """A folder with a count of reads for each file."""

    reads: Counter[str]

    def read(self, path: str) -> bytes:
        self.reads[self.uri(path)] += 1
        return super().read(path)


@pytest.fixture
def table(tmp_path: Path) -> RowTable:
    return RowTable(tmp_path)


@pytest.fixture
def pictures(tmp_path: Path) -> Iterator[PictureTable]:
    table = PictureTable(tmp_path)
    yield table
    table.close()


def folders(tmp_path: Path) -> tuple[Storage, Storage, Storage]:
    run, other, out = (Storage.at(str(tmp_path / name)) for name in ("run", "other", "report"))
    return run, other, out


def pixels(seed: int) -> Any:
    return np.asarray(picture(48, 32, seed=seed))


def cells(out: Storage) -> dict[str, str]:
    """Return the distances on the first screen, by label."""
    page = out.read("index.html").decode()
    (table,) = re.findall(r'<table class="against" id="distances">.*?</table>', page, re.DOTALL)
    return dict(re.findall(r"<tr><th[^>]*>([^<]*)</th><td>([^<]*)</td>", table))


def distances(out: Storage) -> dict[str, list[Any] | None]:
    return {row["id"]: row.get("against", {}).get("distances") for row in rows_of(out)}


def test_each_pair_is_compared_and_all_are_counted(tmp_path: Path) -> None:
    run, other, out = folders(tmp_path)
    same_pixels = encode(picture(48, 32), "PNG", compress_level=0)
    commit(run, *(generated(run, row_id) for row_id in "abcdefg"), failed("h"))
    theirs = [
        generated(other, "a"),
        generated(other, "b", seed=1),
        generated(other, "c", data=same_pixels),
        generated(other, "d", data=encode(picture(32, 48))),
        generated(other, "e", data=b"no image"),
        failed("f"),
        generated(other, "h"),
    ]
    commit(other, *theirs)
    reported(run, out, other)
    expected = psnr(pixels(0), pixels(1))
    assert distances(out) == {
        "a": ["identical"],
        "b": [round(expected, 2)],
        "c": ["identical"],
        "d": ["different sizes"],
        "e": ["not read"],
        "f": [],
        "g": None,
        "h": [],
    }
    assert cells(out) == {
        "identical": "2",
        "differ": "1",
        "their median PSNR": f"{expected:.1f} dB",
        "lowest PSNR": f"{expected:.1f} dB",
        "different sizes, not comparable": "1",
        "not read": "1",
    }
    assert '<a href="#?row=2"><bdi>b</bdi></a>' in out.read("index.html").decode()


def test_rows_without_thumbnails_are_not_measured(tmp_path: Path) -> None:
    run, other, out = folders(tmp_path)
    commit(run, *(generated(run, row_id) for row_id in "abcd"))
    commit(other, *(generated(other, row_id, seed=row_id != "c") for row_id in "abcd"))
    reported(run, out, other, thumbnails=2)
    measured = [round(psnr(pixels(0), pixels(1)), 2)]
    # `a`, `b` and `d` have the same files, so one comparison serves all three.
    assert distances(out) == {"a": measured, "b": measured, "c": ["identical"], "d": measured}
    reported(run, out, other, thumbnails=0)
    assert distances(out) == {"a": [None], "b": [None], "c": ["identical"], "d": [None]}
    assert cells(out) == {"identical": "1", "not measured: made without thumbnails": "3"}


def test_the_page_states_the_number_of_measured_rows(tmp_path: Path) -> None:
    run, other, out = folders(tmp_path)
    commit(run, generated(run, "a"), generated(run, "b"))
    commit(other, generated(other, "a", seed=1), generated(other, "b", seed=2))
    reported(run, out, other, thumbnails=1)
    assert distances(out)["b"] == [None]
    assert cells(out)["not measured: more than 1 rows in"] == "1"


def test_each_file_is_read_once_and_again_only_for_a_comparison(tmp_path: Path) -> None:
    CountingStorage.reads = Counter()
    run, other = (CountingStorage(str(tmp_path / name), {}) for name in ("run", "other"))
    out = Storage.at(str(tmp_path / "report"))
    commit(run, *(generated(run, row_id, seed=n) for n, row_id in enumerate("abc")))
    commit(
        other, *(generated(other, row_id, seed=n) for n, row_id in ((0, "a"), (7, "b"), (8, "c")))
    )

    def image_reads() -> list[int]:
        reads, CountingStorage.reads = CountingStorage.reads, Counter()
        return [count for uri, count in reads.items() if "/images/" in uri]

    reported(run, out, other)
    before = distances(out)
    # The two files of `a` are equal: one thumbnail serves both, and nothing is compared.
    assert image_reads() == [1] * 5
    thumbs = {path: out.read(path) for path in out.list("thumbs")}
    assert len(thumbs) == 5
    out.write(min(thumbs), b"marked")
    reported(run, out, other)
    assert image_reads() == [1] * 4
    assert out.read(min(thumbs)) == b"marked"
    assert distances(out) == before


def test_the_psnr_is_a_column_to_filter_and_order_by(tmp_path: Path) -> None:
    run, other, out = folders(tmp_path)
    commit(run, generated(run, "a"), generated(run, "b"))
    commit(other, generated(other, "a"), generated(other, "b", seed=1))
    reported(run, out, other)
    values = np.array(data_file(out, "numbers-1"))
    np.testing.assert_array_equal(values, [np.nan, psnr(pixels(0), pixels(1))])
    page = out.read("index.html").decode()
    assert [one["name"] for one in boot(out)["numbers"]][1] == PSNR
    assert '<a href="#?order=1u">' in page
    reported(run, out)
    assert PSNR not in out.read("index.html").decode()


def pictured(number: int, here: str, there: str) -> Row:
    """Return a row whose pictures have these hashes, one letter each."""

    def outputs(hashes: str) -> dict[str, Any]:
        return {"outputs": [f"images/00/{one}.png" for one in hashes], "sha256": list(hashes)}

    return Row(number, f"row-{number}", **outputs(here), against=outputs(there))


def test_the_summary_has_the_median_of_the_pairs_and_the_rows_farthest_apart(
    table: RowTable, pictures: PictureTable
) -> None:
    rows = [pictured(n, "ab", "cd") for n in range(2)]
    rows += [pictured(n, "a", "e") for n in range(2, 9)]
    rows.append(pictured(9, "ax", "ay"))
    table.add(batch_of(*rows))
    table.sort()
    first, second = (pair for pair in pairs_of(rows[0]))
    (third,) = pairs_of(rows[2])
    for pair, value in ((first, 30.0), (second, 20.0), (third, 25.0)):
        assert pictures.claim_distance(pair.here.key, pair.there.key)
        pictures.note_distance(pair.here.key, pair.there.key, value)
    distances = Distances(table, pictures)
    taken = [distances.take(row) for row in rows]
    assert (taken[0], taken[2], taken[9]) == ([30.0, 20.0], [25.0], ["identical", None])
    summary = distances.summary()
    assert (summary.identical, summary.measured, summary.not_measured) == (1, 11, 1)
    assert (summary.pairs, summary.median) == (13, 25.0)
    assert summary.lowest == tuple(
        LowPair(n, f"row-{n}", value) for n, value in enumerate([20.0, 20.0, 25.0, 25.0, 25.0])
    )


def test_without_pairs_the_summary_is_empty(table: RowTable, pictures: PictureTable) -> None:
    table.sort()
    distances = Distances(table, pictures)
    summary = distances.summary()
    assert (summary.pairs, summary.median, summary.lowest) == (0, None, ())
    assert distances.columns() == []
