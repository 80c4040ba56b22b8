"""`manifest.ids`: only the rows that a file lists."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipelines.errors import ManifestError
from pipelines.keys.index import SortedKeys, halves_of, row_keys
from pipelines.ledger.done_rows import DoneRows
from pipelines.ledger.row_state import STATE_DTYPE
from pipelines.manifest.chosen_ids import read_ids
from tests.pipelines.manifests import entries, opened, write

HOSTILE = [' "a", b\n=c ', "d;e", "é\u202e", "007", "line\r\nbreak", "</script>"]


def listing(path: Path, text: str) -> str:
    path.write_bytes(text.encode())
    return str(path)


def rows(tmp_path: Path, ids: list[Any]) -> Path:
    return write(tmp_path / "m.parquet", {"id": ids, "prompt": ["p"] * len(ids)})


def found(path: Path, ids: str, **keys: Any) -> list[str]:
    return [entry.row.id for entry in entries(path, manifest={"ids": ids, **keys})]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("ids.txt", "c\n\na\r\n"),
        ("ids", "\ufeffc\na"),
        ("ids.csv", "id\nc\na\n"),
        ("ids.csv", "mark,id\nstar,c\nstar,a\nstar,a\n"),
        ("ids.jsonl", '{"id": "a"}\n{"id": "c"}\n'),
    ],
)
def test_rows_keep_the_order_of_the_manifest(tmp_path: Path, name: str, text: str) -> None:
    path = rows(tmp_path, ["a", "b", "c"])
    source = opened(path, manifest={"ids": listing(tmp_path / name, text)})
    assert [entry.row.id for entry in source.entries()] == ["a", "c"]
    assert (source.total_rows, source.is_whole) == (2, False)


def test_ids_of_any_text_are_found(tmp_path: Path) -> None:
    path = rows(tmp_path, [*HOSTILE, "other"])
    quoted = "".join('"' + row_id.replace('"', '""') + '"\r\n' for row_id in HOSTILE)
    assert found(path, listing(tmp_path / "ids.csv", f"id\r\n{quoted}")) == HOSTILE


def test_integers_and_made_ids_are_found(tmp_path: Path) -> None:
    path = rows(tmp_path, [1, 2, 30])
    assert found(path, listing(tmp_path / "ids.csv", "id\n30\n1\n")) == ["1", "30"]
    same = write(tmp_path / "same.parquet", {"prompt": ["p", "p", "q"]})
    first, second, _ = (entry.row.id for entry in entries(same))
    assert second == f"{first}-2"
    assert found(same, listing(tmp_path / "ids.txt", second)) == [second]


def test_an_unknown_id_is_named_before_the_run(tmp_path: Path) -> None:
    path = rows(tmp_path, ["a", "b"])
    ids = listing(tmp_path / "ids.csv", "id\na\n" + "".join(f"x{n}\n" for n in range(7)))
    with pytest.raises(ManifestError) as caught:
        opened(path, manifest={"ids": ids})
    assert str(caught.value) == (
        f"{ids}: 7 of 8 ids have no row in {path}: 'x0', 'x1', 'x2', 'x3', 'x4' and 2 more; "
        "correct or remove them"
    )
    with pytest.raises(ManifestError, match=r"the first 1 rows of .*: 'b'"):
        opened(path, manifest={"ids": listing(tmp_path / "b.txt", "b"), "limit": 1})


def test_shards_share_the_chosen_rows(tmp_path: Path) -> None:
    every = [f"row-{n}" for n in range(40)]
    path = rows(tmp_path, every)
    ids = listing(tmp_path / "ids.txt", "\n".join(every[::2]))
    parts = [found(path, ids, shard=f"{index}/3") for index in range(3)]
    assert all(parts)
    assert sorted(row_id for part in parts for row_id in part) == sorted(every[::2])


def test_rows_that_are_done_and_not_chosen_are_not_counted_as_skipped(tmp_path: Path) -> None:
    path = rows(tmp_path, ["a", "b", "c"])
    source = opened(path, manifest={"ids": listing(tmp_path / "ids.txt", "a\nb")})
    digests = {entry.row.id: entry.source_digest for entry in opened(path).entries()}
    done = ["b", "c"]
    states = np.zeros(2, STATE_DTYPE)
    states["state"] = 1  # completed
    states["source"] = [digests[row_id] for row_id in done]
    keys = halves_of(row_keys(row_id.encode() for row_id in done))
    batches = list(source.batches(DoneRows(SortedKeys.sort(*keys, states), retry_failed=False)))
    assert [entry.row.id for batch in batches for entry in batch.entries] == ["a"]
    assert [batch.num_skipped for batch in batches] == [1]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("ids.txt", " \n", "contains no id"),
        ("ids.csv", "name\na\n", "no column 'id'; its columns are name"),
        ("ids.txt", "a\n" + "x" * 257, "line 2: has an id that no row can have"),
        ("ids.jsonl", '{"id": 1.5}\n', "has an id that no row can have"),
    ],
)
def test_a_file_without_usable_ids_is_an_error(
    tmp_path: Path, name: str, text: str, message: str
) -> None:
    with pytest.raises(ManifestError, match=message):
        read_ids(listing(tmp_path / name, text), {})


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    for name in ("ids.txt", "ids.csv"):
        with pytest.raises(ManifestError, match="does not exist"):
            read_ids(str(tmp_path / name), {})
