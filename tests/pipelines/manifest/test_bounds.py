from __future__ import annotations

import time
from pathlib import Path

import pyarrow as pa
import pytest

from pipelines.arrow_sizes import value_sizes
from pipelines.errors import ManifestError
from tests.peak_memory import peaks
from tests.pipelines.manifest.large_values import CALLS, lists, repeated
from tests.pipelines.manifests import entries, rejected, valid, write
from uso_core.request import MAX_PROMPT_CHARACTERS

_MODULE = "tests.pipelines.manifest.large_values"


def test_small_files_with_large_rows_are_read_in_bounded_memory() -> None:
    # Each of these files of less than 1 MB holds over 1 GB of values.
    found = peaks(_MODULE, list(CALLS))
    assert found.keys() == CALLS.keys()
    assert max(found.values()) < 700, found


@pytest.mark.parametrize("arrow_types", [False, True])
@pytest.mark.parametrize("column", ["prompt", "note", "content_image", "style_images"])
def test_a_row_over_the_limit_is_rejected_alone(
    tmp_path: Path, column: str, arrow_types: bool
) -> None:
    values = pa.array(["a", "x" * 1_000_001, "b", None]).dictionary_encode()
    table = {
        "id": ["1", "2", "3", "4"],
        "content_image": pa.array(["c.png"] * 4),
        column: lists(values) if column == "style_images" else values,
        "count": [1, 2, 3, 4],
    }
    path = write(tmp_path / "m.parquet", table, store_schema=arrow_types)
    found = entries(path, manifest={"max_row_mb": 1})
    assert [entry.row.id for entry in found] == ["1", "2", "3", "4"]
    large = rejected(found[1])
    assert large.column == column
    assert large.failure.message == (
        f"column {column}: this row takes 1.0 MB, of which {column} has the most; shorten it, "
        "store images as files, or raise manifest.max_row_mb (1)"
    )
    assert found[1].extra["count"] == 2
    assert found[1].source_digest is None
    assert valid(found[0]).id == "1"
    assert valid(found[2]).id == "3"


def test_rows_over_the_limit_have_ids_of_their_own(tmp_path: Path) -> None:
    long = ["x" * 1_000_001, "y" * 1_000_001]
    path = write(tmp_path / "m.parquet", {"prompt": ["a", *long], "note": ["b", *long]})
    found = entries(path, manifest={"max_row_mb": 1})
    assert len({entry.row.id for entry in found}) == 3
    assert [rejected(entry).prompt for entry in found[1:]] == [None, None]


def test_long_prompts_are_rejected_and_the_longest_is_not(tmp_path: Path) -> None:
    texts = ["x" * MAX_PROMPT_CHARACTERS, "x" * (MAX_PROMPT_CHARACTERS + 1), "a"]
    found = entries(write(tmp_path / "m.parquet", {"prompt": texts}))
    assert [valid(found[0]).prompt, valid(found[2]).prompt] == [texts[0], "a"]
    assert "100,001 characters' is not accepted; give at most 100,000" in (
        rejected(found[1]).failure.message
    )
    assert len(rejected(found[1]).failure.message) < 300
    with pytest.raises(ManifestError, match=r"defaults\.prompt: .* give at most 100,000"):
        entries(tmp_path / "m.parquet", defaults={"prompt": texts[1]})


def test_a_column_that_is_a_thousand_times_its_data_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.parquet_ways.SUSPECT_BYTES", 10**6)
    numbers = pa.repeat(pa.scalar(1, pa.int8()), 200_000)
    table = {"prompt": ["a"], "codes": pa.ListArray.from_arrays([0, len(numbers)], numbers)}
    path = write(tmp_path / "m.parquet", table)
    with pytest.raises(ManifestError, match=r"its column 'codes' is over 1 GB, and a thousand"):
        entries(path)
    assert valid(entries(path, manifest={"keep_columns": "none"})[0]).prompt == "a"


def test_ten_thousand_columns_are_quick(tmp_path: Path) -> None:
    columns = {f"c{i}": [i] * 5 if i % 2 else [f"t{i}"] * 5 for i in range(10_000)}
    path = write(tmp_path / "m.parquet", {"prompt": ["a"] * 5, **columns})
    began = time.process_time()
    found = entries(path)
    assert time.process_time() - began < 4
    assert found[4].extra["c9999"] == 9999
    assert len(found[4].extra) == 10_000


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array(["ab", None, ""]), [66, 64, 64]),
        (pa.array(["ab", None], pa.large_string()), [66, 64]),
        (pa.array([b"ab", None], pa.binary_view()), [66, 64]),
        (pa.array([1, None]), [64, 64]),
        (repeated("ab", 2), [66, 66]),
        (pa.array(["ab", None, "ab"]).dictionary_encode(), [66, 64, 66]),
        (pa.array([["ab", "c"], None, []]), [64 + 66 + 65, 64, 64]),
        (pa.array([["ab"], None], pa.list_(pa.string(), 1)), [64 + 66, 64]),
        (pa.array([["ab", "c"], None], pa.list_view(pa.string())), [64 + 66 + 65, 64]),
        (pa.array([{"a": "ab", "b": 1}, None]), [64 + 66 + 64, 64 + 64 + 64]),
        (pa.array([[("k", "ab")], None], pa.map_(pa.string(), pa.string())), [64 + 64 + 131, 64]),
        (pa.array(['{"a": 1}', None], pa.json_()), [72, 64]),
    ],
    ids=range(12),
)
def test_the_size_of_values(column: pa.Array, expected: list[int]) -> None:
    assert value_sizes(column).tolist() == expected
    assert value_sizes(column[1:]).tolist() == expected[1:]
