"""The rows that a run skips unread are the rows that it would skip after reading them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.pipelines.dispatch.pending_output import SCHEMA, Output, Row, pending_ids, rows
from tests.pipelines.manifests import CARD
from tests.pipelines.records import drop_column


@pytest.fixture
def output(tmp_path: Path) -> Output:
    return Output(tmp_path)


def test_recorded_rows_are_left_out_unseen(output: Output) -> None:
    output.write(rows(6))
    output.record()
    output.write([*rows(6), {"id": "new", "prompt": "x"}])
    found = output.select()
    assert pending_ids(found) == ["new"]
    assert (found.skipped, found.left_out, found.changed) == (6, 6, 0)


@pytest.mark.parametrize(
    "changes",
    [
        {"prompt": "another"},
        {"prompt": None},
        {"content_image": "other.png"},
        {"style_images": ["s.png", "t.png"]},
        {"style_images": None},
        {"width": 512},
        {"seed": 7},
    ],
    ids=str,
)
@pytest.mark.parametrize("on_change", ["redo", "keep", "error"])
def test_a_changed_row_is_noticed(output: Output, changes: Row, on_change: str) -> None:
    output.write(rows())
    output.record()
    changed = rows()
    changed[2] |= changes
    output.write(changed)
    found = output.select(output={"path": "memory://o", "on_change": on_change})
    if on_change == "error":
        assert "'row-2'" in str(found.pending)
        return
    assert pending_ids(found) == (["row-2"] if on_change == "redo" else [])
    assert (found.changed, found.left_out) == (1, 5)


@pytest.mark.parametrize(
    "sections",
    [
        {"defaults": {"num_steps": 7}},
        {"defaults": {"style_image": "also.png"}},
        {"stylize": {"seed": 1}},
        {"fetch": {"exif_rotate": False}},
        {"manifest": {"base_uri": "s3://elsewhere"}},
        {"manifest": {"columns": {"prompt": "label"}}},
        {"output": {"path": "memory://o", "format": "webp"}},
        {"card": replace(CARD, fingerprint="ffff")},
        {"card": replace(CARD, limits=replace(CARD.limits, max_styles=0))},
    ],
    ids=str,
)
def test_a_changed_run_is_noticed(output: Output, sections: dict[str, Any]) -> None:
    output.write(rows())
    output.record()
    found = output.select(**sections)
    assert len(pending_ids(found)) == 6
    assert found.left_out == 0


def test_what_does_not_change_a_picture_changes_no_digest(output: Output) -> None:
    output.write(rows())
    output.record()
    output.write(list(reversed(rows())))
    found = output.select(
        fetch={"timeout_s": 5},
        output={"path": "memory://elsewhere", "quality": 50},
    )
    assert (pending_ids(found), found.left_out) == ([], 6)


def test_a_row_that_is_the_same_in_other_words_is_read_and_left_out(output: Output) -> None:
    output.write([{"id": "a", "content_image": "https://host/a.png?X-Amz-Signature=1"}])
    output.record()
    output.write([{"id": "a", "content_image": "https://host/a.png?X-Amz-Signature=2"}])
    found = output.select()
    assert (pending_ids(found), found.skipped, found.left_out) == ([], 1, 0)


@pytest.mark.parametrize(
    ("retry_failed", "expected", "left_out"),
    [(False, ["row-1", "row-4"], 4), (True, ["row-1", "row-2", "row-4", "row-5"], 2)],
)
def test_failed_rows(
    output: Output, retry_failed: bool, expected: list[str], left_out: int
) -> None:
    output.write(rows())
    output.record([None, "uri_timeout", "image_corrupt"])
    found = output.select(on_error={"retry_failed": retry_failed})
    assert (pending_ids(found), found.left_out) == (expected, left_out)


def test_a_rejected_row_is_looked_at_again_when_it_is_accepted(output: Output) -> None:
    output.write([{"id": "a", "width": 100}])
    output.record()
    assert output.select().left_out == 1
    output.write([{"id": "a", "width": 512}])
    assert pending_ids(output.select()) == ["a"]


def test_a_repeated_id_is_left_out_once(output: Output) -> None:
    output.write(rows(3))
    output.record()
    output.write([*rows(3), *({"id": f"x{n}"} for n in range(2048)), rows(3)[1]])
    found = output.select()
    assert pending_ids(found)[-1] == "row-1~2"
    assert found.left_out == 3


def test_a_repeat_of_a_row_that_was_read_is_not_left_out(output: Output) -> None:
    output.write(rows(3))
    output.record()
    changed = [{**rows(1)[0], "prompt": "new"}, *({"id": f"x{n}"} for n in range(2048)), *rows(3)]
    output.write(changed)
    found = output.select()
    assert pending_ids(found)[0] == "row-0"
    assert pending_ids(found)[-1] == "row-0~2"
    assert found.left_out == 2


def test_an_id_that_a_repeat_took_is_told_apart(output: Output) -> None:
    output.write([{"id": "a", "prompt": "x"}, {"id": "a", "prompt": "y"}])
    output.record()
    output.write([{"id": "a~2", "prompt": "y"}, {"id": "a", "prompt": "x"}])
    assert pending_ids(output.select()) == ["a~2"]


def test_only_rows_of_the_shard_count(output: Output) -> None:
    output.write(rows(40))
    output.record()
    found = [output.select(manifest={"shard": f"{index}/3"}) for index in range(3)]
    assert sum(one.skipped for one in found) == sum(one.left_out for one in found) == 40
    assert all(0 < one.skipped < 40 for one in found)


def test_the_limit_counts_rows_that_are_left_out(output: Output) -> None:
    output.write(rows(5))
    output.record()
    output.write([*rows(5), {"id": "new"}, {"id": "newer"}])
    found = output.select(manifest={"limit": 6})
    assert (pending_ids(found), found.skipped) == (["new"], 5)


def test_records_of_before_there_were_digests_are_read(output: Output) -> None:
    output.write(rows())
    output.record()
    drop_column(output.storage, "source_digest")
    found = output.select()
    assert (pending_ids(found), found.skipped, found.left_out) == ([], 6, 0)


def test_rows_of_before_there_were_weights_are_left_out_unread(output: Output) -> None:
    output.write(rows(), SCHEMA.remove(SCHEMA.get_field_index("style_weights")))
    output.record()
    drop_column(output.storage, "style_weights")
    ones = [{**row, "style_weights": [1.0]} for row in rows()]
    output.write([*rows(3), *ones[3:]])
    found = output.select()
    assert (pending_ids(found), found.skipped, found.left_out) == ([], 6, 6)
    output.write([*rows(3), *ones[3:5], {**ones[5], "style_weights": [0.5]}])
    found = output.select()
    assert (pending_ids(found), found.changed, found.left_out) == (["row-5"], 1, 5)


@pytest.mark.parametrize(
    ("column", "left_out"),
    [
        (pa.array([7, 8], pa.uint64()), 2),
        (pa.array(["ünï", "日本"]), 2),
        (pa.array(["a", "b"], pa.large_string()), 2),
        (pa.array(["a", "b"]).dictionary_encode(), 2),
        (pa.array([1.0, 2.0]), 0),
        (pa.array([b"a", b"b"]), 0),
        (pa.array([None, "b"]), 1),
        (pa.nulls(2, pa.string()), 0),
    ],
    ids=str,
)
def test_ids_of_any_type(output: Output, column: pa.Array, left_out: int) -> None:
    pq.write_table(pa.table({"id": column, "prompt": ["x", "y"]}), output.path)
    output.record()
    found = output.select()
    assert (pending_ids(found), found.skipped, found.left_out) == ([], 2, left_out)
