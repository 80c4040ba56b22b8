"""An output follows its manifest: records of rows that it no longer has do not count."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.config.schema import RunConfig
from pipelines.driver.summary import RunSummary, summarize
from pipelines.failures import Failure
from pipelines.ledger.follow import LedgerFollower
from pipelines.ledger.ledger import count_records
from pipelines.ledger.left_out import LEFT_OUT_PATH, read_left_out
from pipelines.manifest.table import PARTIAL_MARK
from pipelines.rows import ManifestRow, Outcome
from pipelines.storage.storage import Storage
from tests.pipelines.driver.test_driver import config, driver_of, names, ok, recorded, write_rows
from tests.pipelines.inprocess_pool import InProcessPool, Work


def run(settings: RunConfig, work: Work = ok) -> tuple[RunSummary, set[str]]:
    """Run to the end, as `pipelines.driver.run` does; return the summary and the rows that ran."""
    pool = InProcessPool(2, work)
    with driver_of(settings) as (driver, stats, prepared):
        if driver.find_work():
            driver.work(pool)
        driver.leave_out_others()
        prepared.ledger.forget_rows()
        prepared.ledger.compact()
        prepared.ledger.verify()
        prepared.run_file.write("completed", stats, None)
        return summarize(prepared, stats, interrupted=False), set(pool.tries)


def two_fail(row: ManifestRow) -> Outcome:
    failure = Failure("uri_not_found", "gone") if row.id in {"r1", "r2"} else None
    return Outcome(row_id=row.id, failure=failure)


def output(folder: Path) -> Storage:
    return Storage.at(str(folder / "out"))


def counted(folder: Path) -> tuple[int, int, int]:
    """Return the counts of all readers, which must agree."""
    counts, followed = count_records(output(folder)), LedgerFollower(output(folder)).poll()
    assert (counts.completed, counts.failed, counts.left_out, counts.look) == (
        followed.completed,
        followed.failed,
        followed.left_out,
        followed.look,
    )
    assert len(recorded(folder)) == counts.completed + counts.failed
    return counts.completed, counts.failed, counts.left_out


def test_deleted_rows_do_not_count_for_the_exit_code(tmp_path: Path) -> None:
    write_rows(tmp_path, names(6))
    summary, _ = run(config(tmp_path), two_fail)
    assert (summary.within_budget, summary.left_out) == (False, 0)
    assert not output(tmp_path).exists(LEFT_OUT_PATH)
    write_rows(tmp_path, ["r0", "r3", "r4"])
    summary, tries = run(config(tmp_path), two_fail)
    assert tries == set()
    assert (summary.within_budget, summary.failed_fraction, summary.left_out) == (True, 0, 3)
    assert counted(tmp_path) == (3, 0, 3)
    (written,) = (tmp_path / "out/run").glob(f"{summary.run_id}.json")
    assert json.loads(written.read_text())["counts"]["left_out"] == 3
    look = count_records(output(tmp_path)).look
    assert look is not None
    assert (look.manifest, look.run_id) == (str(tmp_path / "m.parquet"), summary.run_id)


def test_edited_rows_count_once_whatever_their_ids_are(tmp_path: Path) -> None:
    def write(prompts: list[str], **columns: list[Any]) -> None:
        pq.write_table(pa.table({"prompt": prompts, **columns}), tmp_path / "m.parquet")

    write(["a", "a", "b"])  # the ids follow from the content
    run(config(tmp_path))
    write(["a", "b", "c"])
    summary, tries = run(config(tmp_path))
    assert len(tries) == summary.completed == 1
    assert counted(tmp_path) == (3, 0, 1)
    write(["a", "b", "d"], id=["1", "2", "2"])  # 2~2 is rejected
    run(config(tmp_path))
    assert counted(tmp_path) == (2, 1, 4)
    write(["a", "b2", "d"], id=["1", "2", "3"])
    _, tries = run(config(tmp_path))
    assert tries == {"2", "3"}
    assert counted(tmp_path) == (3, 0, 5)


def test_rows_that_come_back_count_again_and_are_not_generated_anew(tmp_path: Path) -> None:
    write_rows(tmp_path, names(6))
    run(config(tmp_path))
    write_rows(tmp_path, names(2))
    run(config(tmp_path))
    assert counted(tmp_path) == (2, 0, 4)
    write_rows(tmp_path, names(4))
    assert run(config(tmp_path))[1] == set()
    assert counted(tmp_path) == (4, 0, 2)
    write_rows(tmp_path, names(6))
    assert run(config(tmp_path))[1] == set()
    assert counted(tmp_path) == (6, 0, 0)
    assert not output(tmp_path).exists(LEFT_OUT_PATH)


def test_a_row_that_comes_back_with_another_prompt_counts_even_if_the_run_is_killed(
    tmp_path: Path,
) -> None:
    write_rows(tmp_path, names(3))
    run(config(tmp_path))
    write_rows(tmp_path, names(2))
    run(config(tmp_path))
    assert counted(tmp_path) == (2, 0, 1)
    write_rows(tmp_path, names(3), num_steps=[None, None, 3])
    with driver_of(config(tmp_path)) as (driver, _, _):  # ends before it lists anything
        assert driver.find_work()
        driver.work(InProcessPool(1, ok))
    assert counted(tmp_path) == (3, 0, 0)


SHARD = {"shard": "1/2"}


@pytest.mark.parametrize(
    ("rows", "manifest"),
    [
        (6, {"limit": 2}),
        (6, SHARD),
        (2, {"partial": True}),
        (2, {"limit": 2}),
    ],
)
def test_a_part_of_the_manifest_says_nothing_about_other_rows(
    tmp_path: Path, rows: int, manifest: dict[str, Any]
) -> None:
    write_rows(tmp_path, names(6))
    run(config(tmp_path))
    write_rows(tmp_path, names(rows))
    summary, _ = run(config(tmp_path, manifest=manifest))
    assert summary.left_out == 0
    assert counted(tmp_path) == (6, 0, 0)


@pytest.mark.parametrize("manifest", [{"limit": 4}, SHARD, {"partial": True}])
def test_a_part_of_the_manifest_brings_rows_back(tmp_path: Path, manifest: dict[str, Any]) -> None:
    write_rows(tmp_path, names(12))
    run(config(tmp_path))
    write_rows(tmp_path, names(1))
    run(config(tmp_path))
    write_rows(tmp_path, names(11))
    _, tries = run(config(tmp_path, manifest=manifest))
    assert tries == set()
    completed, _, left_out = counted(tmp_path)
    assert completed + left_out == 12
    assert 0 < left_out < 11
    listed = read_left_out(output(tmp_path))
    assert len(listed) == left_out


def test_a_manifest_of_low_scores_is_a_part(tmp_path: Path) -> None:
    write_rows(tmp_path, names(6))
    run(config(tmp_path))
    schema = pa.schema([("id", pa.string()), ("prompt", pa.string())], metadata=PARTIAL_MARK)
    again = pa.table({"id": ["r1"], "prompt": ["another"]}, schema=schema)
    pq.write_table(again, tmp_path / "m.parquet")
    assert run(config(tmp_path))[1] == {"r1"}
    assert counted(tmp_path) == (6, 0, 0)


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_text_formats_leave_out_the_same_rows(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"m.{ending}"

    def write(count: int) -> None:
        rows = [{"id": name, "prompt": "x"} for name in names(count)]
        lines = [json.dumps(row) for row in rows]
        if ending == "csv":
            lines = ["id,prompt", *(f"{row['id']},{row['prompt']}" for row in rows)]
        path.write_text("\n".join(lines))

    settings = config(tmp_path, manifest={"path": str(path)})
    write(5)
    run(settings)
    write(3)
    assert run(settings)[1] == set()
    assert counted(tmp_path) == (3, 0, 2)
