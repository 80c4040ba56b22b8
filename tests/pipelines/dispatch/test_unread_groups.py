"""Leaving groups of rows unread agrees with reading them, after any history of an output."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.failures import FailureCode
from pipelines.ledger.left_out import ManifestLook
from pipelines.manifest.manifest import Manifest
from pipelines.record import EDITION_DIGEST, EDITION_ROW
from tests.pipelines.dispatch.pending_output import SCHEMA, Output, Row, pending_ids, rows
from tests.pipelines.manifests import CARD, config
from tests.pipelines.records import drop_column

PLACE = (EDITION_DIGEST, EDITION_ROW)
OTHER_CARD = replace(CARD, fingerprint="ffff")


def all_have(output: Output, column: str) -> bool:
    paths = output.storage.list("records")
    contents = [output.storage.read(path) for path in paths]
    return all(column in pq.read_schema(pa.BufferReader(each)).names for each in contents)


class Files(Output):
    """An output of a manifest of several files."""

    def __init__(self, folder: Path) -> None:
        shutil.rmtree(folder / "manifest", ignore_errors=True)
        super().__init__(folder / "manifest")
        self.path.parent.mkdir()

    @property
    def files(self) -> str:
        return str(self.path.parent / "*.parquet")

    def put(self, name: str, listed: list[Row]) -> None:
        self.path = self.path.parent / f"{name}.parquet"
        self.write(listed)

    def remove(self, name: str) -> None:
        if len(list(self.path.parent.iterdir())) > 1:
            (self.path.parent / f"{name}.parquet").unlink(missing_ok=True)

    def record_some(self, codes: list[FailureCode | None], most: int, skips: bool) -> None:
        self.record(codes, most=most, unread=skips)

    def record_otherwise(self, codes: list[FailureCode | None], sections: dict[str, Any]) -> None:
        self.record(codes, **{**sections, "output": {"path": "o", "on_change": "redo"}})

    def forget_places(self) -> None:
        """Rewrite the parts as an older version wrote them."""
        for column in PLACE:
            if all_have(self, column):
                drop_column(self.storage, column)

    def forget_part(self, number: int) -> None:
        for path in self.storage.list("records")[number : number + 1]:
            self.storage.delete(path)

    def finish(self, **sections: Any) -> None:
        """End a run as after its last row: records of other rows no longer count."""
        manifest = Manifest.open(config(self.files, **sections), CARD)
        ledger = self.ledger(manifest, manifest.editions)
        for batch in manifest.batches(ledger.done_rows(retry_failed=False)):
            ledger.lookup([entry.row.id for entry in batch.entries])
        ledger.leave_out(ManifestLook("m", "r", "now"), whole=manifest.is_whole)
        ledger.compact()


@pytest.fixture
def output(tmp_path: Path) -> Files:
    return Files(tmp_path)


def unread(selected: Output, **sections: Any) -> int:
    return selected.select(**sections).unread


def test_done_groups_are_left_unread(output: Files) -> None:
    output.put("a", rows(8))
    output.record(most=7)
    found = output.select()
    assert (pending_ids(found), found.unread) == (["row-7"], 6)


@pytest.mark.parametrize(
    "change",
    [
        lambda output: output.put("a", rows(8)),
        lambda output: output.put("0", [{"id": "new", "prompt": "p"}]),
        lambda output: os.utime(output.path),
        lambda output: output.path.chmod(0o600),
    ],
    ids=["written again", "a file before it", "another time", "another mode"],
)
def test_a_file_that_may_have_changed_is_read(
    output: Files, change: Callable[[Files], None]
) -> None:
    output.put("a", rows(8))
    output.record()
    assert unread(output) == 8
    change(output)
    assert unread(output) == 0


def test_a_change_that_keeps_size_and_time_is_noticed(output: Files) -> None:
    output.put("a", rows(4))
    was = output.path.stat()
    output.record()
    changed = rows(4)
    changed[2]["prompt"] = "q2"
    output.put("a", changed)
    os.utime(output.path, ns=(was.st_atime_ns, was.st_mtime_ns))
    assert output.path.stat().st_size == was.st_size
    assert pending_ids(output.select()) == ["row-2"]


def test_a_file_after_it_changes_nothing(output: Files) -> None:
    output.put("a", rows(6))
    output.record()
    output.put("b", [{"id": "new", "prompt": "p"}, rows(1)[0]])
    found = output.select()
    assert (pending_ids(found), found.unread) == (["new", "row-0~2"], 6)


def test_a_link_is_known_by_its_file(output: Files, tmp_path: Path) -> None:
    output.put("a", rows(3))
    real = output.path.rename(tmp_path / "real.parquet")
    output.path.symlink_to(real)
    output.record()
    assert unread(output) == 3
    changed = rows(3)
    changed[1]["prompt"] = "q1"
    pq.write_table(pa.Table.from_pylist(changed, schema=SCHEMA), real)
    assert pending_ids(output.select()) == ["row-1"]


@pytest.mark.parametrize(
    "sections",
    [
        {"defaults": {"num_steps": 7}},
        {"stylize": {"seed": 1}},
        {"manifest": {"keep_columns": "none"}},
        {"manifest": {"max_row_mb": 1}},
        {"manifest": {"shard": "0/1"}},
        {"card": OTHER_CARD},
    ],
    ids=str,
)
def test_other_settings_read_all_rows(output: Files, sections: dict[str, Any]) -> None:
    output.put("a", rows(6))
    output.record()
    assert unread(output, **sections) == 0
    assert unread(output, output={"path": "memory://o", "quality": 50}) == 6


def test_failed_rows_are_left_unread_unless_they_are_tried_again(output: Files) -> None:
    output.put("a", rows(9))
    output.record([*[None] * 4, "image_corrupt", *[None] * 3, "uri_timeout"])
    assert unread(output) == 6
    assert unread(output, on_error={"retry_failed": True}) == 3


def test_lost_images_are_drawn_again(output: Files) -> None:
    output.put("a", rows(9))
    output.record()
    found = output.select(marked=["row-4", "row-5", "nobody"])
    assert (pending_ids(found), found.unread) == (["row-4", "row-5"], 6)


def test_the_group_of_a_repeated_record_is_read(output: Files) -> None:
    output.put("a", rows(9))
    output.record(["uri_timeout", *[None] * 8])
    output.record()
    assert unread(output) == 6
    output.finish()
    assert unread(output) == 9


def test_a_row_that_failed_after_it_was_done_is_drawn(output: Files) -> None:
    output.put("a", rows(3))
    output.record()
    output.record(["uri_timeout"], stylize={"seed": 5})  # the same manifest, other records
    found = output.select()
    assert len(pending_ids(found)) == 3


def test_rows_without_ids_are_left_unread(output: Files) -> None:
    output.put("a", [{"prompt": f"p{n % 4}"} for n in range(6)])
    output.record()
    assert unread(output) == 6


def test_old_records_are_read(output: Files) -> None:
    output.put("a", rows(6))
    output.record()
    for name in PLACE:
        drop_column(output.storage, name)
    found = output.select()
    assert (found.left_out, found.unread) == (6, 0)


SOME_ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.sampled_from([*"abcdefgh", "a~2", None, "", "x" * 257]),
            "prompt": st.sampled_from(["p", "q", None]),
            "style_images": st.sampled_from([["s.png"], None, [None]]),
            "width": st.sampled_from([512, None, 3]),
            "label": st.sampled_from(["l", "m"]),
        }
    ),
    min_size=1,
    max_size=8,
)
UNIQUE_ROWS = st.integers(1, 9).map(rows)
NAMES = st.sampled_from("abc")
CODES = st.lists(
    st.sampled_from([None, None, None, "uri_timeout", "image_corrupt"]), min_size=1, max_size=5
)
SECTIONS = st.fixed_dictionaries(
    {},
    optional={
        "defaults": st.just({"num_steps": 7}),
        "manifest": st.sampled_from([{"limit": 4}, {"keep_columns": "none"}, {"shard": "0/2"}]),
        "output": st.sampled_from(
            [{"path": "o", "on_change": name} for name in ("redo", "keep", "error")]
        ),
        "on_error": st.just({"retry_failed": True}),
        "card": st.just(OTHER_CARD),
    },
)
STEPS = st.one_of(
    st.tuples(st.just("put"), NAMES, st.one_of(SOME_ROWS, UNIQUE_ROWS)),
    st.tuples(st.just("remove"), NAMES),
    st.tuples(st.just("record_some"), CODES, st.integers(0, 12), st.booleans()),
    st.tuples(st.just("record_otherwise"), CODES, SECTIONS),
    st.tuples(st.just("finish")),
    st.tuples(st.just("forget_places")),
    st.tuples(st.just("forget_part"), st.integers(0, 3)),
)


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    first=st.one_of(SOME_ROWS, UNIQUE_ROWS),
    codes=CODES,
    steps=st.lists(STEPS, max_size=5),
    marked=st.lists(st.sampled_from([*"abc", "row-0", "row-4", "a~2"]), max_size=2),
    sections=st.one_of(st.just({}), SECTIONS),
)
def test_all_ways_agree_after_any_history(
    tmp_path: Path,
    first: list[Row],
    codes: list[FailureCode | None],
    steps: list[tuple[Any, ...]],
    marked: list[str],
    sections: dict[str, Any],
) -> None:
    output = Files(tmp_path)
    output.put("b", first)
    output.record(codes)
    for step in steps:
        name, *given = step
        getattr(output, name)(*given)
    output.select(marked=marked, **sections)
