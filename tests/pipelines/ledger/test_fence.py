"""A driver that was suspended commits nothing after another one has taken over."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pandas as pd  # type: ignore[import-untyped]
import pyarrow as pa
import pytest

from pipelines.errors import LeaseLostError
from pipelines.ledger.fence import fence_off
from pipelines.ledger.ledger import Ledger, count_records
from pipelines.ledger.part_names import PartName
from pipelines.ledger.parts import list_parts
from pipelines.ledger.scan import scan_ledger
from pipelines.record import record_schema
from pipelines.storage.storage import Storage
from tests.conditional_s3 import KINDS, output_on
from tests.pipelines.records import SCHEMA, completed, stored

pytestmark = pytest.mark.s3


@pytest.fixture(params=KINDS)
def storage(
    request: pytest.FixtureRequest, tmp_path: Path, conditional_s3: dict[str, dict[str, Any]]
) -> Storage:
    """Return an output on each kind of store that has conditional writes."""
    return output_on(request.param, tmp_path, conditional_s3)


def records_in_parts(storage: Storage) -> int:
    return sum(scan_ledger(storage).num_rows)


@pytest.mark.parametrize("commits", [0, 1, 3])
def test_a_commit_after_the_fence_does_not_land(storage: Storage, commits: int) -> None:
    Ledger.open(storage, SCHEMA, "run-0").append([completed("old")])
    paused = Ledger.open(storage, SCHEMA, "run-1")
    for number in range(commits):
        paused.append([completed(f"a{number}")])
    other = Ledger.open(storage, SCHEMA, "run-2", taken_from="run-1")
    with pytest.raises(LeaseLostError, match="another driver has taken over"):
        paused.append([completed("a9", at=-1)])
    other.append([completed("a9")])
    other.compact()
    with pytest.raises(LeaseLostError):
        paused.append([completed("a9", at=-1)])
    with pytest.raises(LeaseLostError):
        paused.append([completed("b")])
    assert records_in_parts(storage) == commits + 2
    assert count_records(storage).completed == commits + 2


def test_what_was_committed_between_the_look_and_the_fence_counts(storage: Storage) -> None:
    Ledger.open(storage, SCHEMA, "run-0").append([completed("old")])
    own_client = pickle.loads(pickle.dumps(storage))
    own_client.check_writable()
    paused = Ledger.open(own_client, SCHEMA, "run-1")
    paused.append([completed("a")])
    create = storage.create

    def create_late(path: str, data: bytes) -> bool:
        if late:
            paused.append([completed(late.pop())])
        return create(path, data)

    late = ["c", "b"]
    storage.create = create_late  # type: ignore[method-assign]
    other = Ledger.open(storage, SCHEMA, "run-2", taken_from="run-1")
    assert None not in other.lookup(["old", "a", "b", "c"])
    with pytest.raises(LeaseLostError):
        paused.append([completed("d")])


def test_a_compaction_after_the_fence_changes_nothing(storage: Storage) -> None:
    paused = Ledger.open(storage, SCHEMA, "run-1")
    paused.append([completed("a")])
    paused.append([completed("b")])
    other = Ledger.open(storage, SCHEMA, "run-2", taken_from="run-1")
    other.append([completed("c")])
    other.compact()
    before = storage.sizes("records")
    for change in (paused.compact, paused.compact_small, paused.verify):
        with pytest.raises(LeaseLostError):
            change()
    assert storage.sizes("records") == before
    assert records_in_parts(storage) == 3


def test_a_fence_is_put_once_and_stays(storage: Storage) -> None:
    Ledger.open(storage, SCHEMA, "run-1").append([completed("a")])
    for run_id in ("run-2", "run-3"):
        fence_off(storage, "run-1", SCHEMA)
        ledger = Ledger.open(storage, SCHEMA, run_id, taken_from="run-1")
        ledger.append([completed(run_id)])
        ledger.compact()
    assert sorted(scan_ledger(storage).num_rows) == [0, 3]
    assert [row["id"] for row in stored(storage)] == ["a", "run-2", "run-3"]


def test_a_fence_hides_no_column_of_a_later_run(storage: Storage, tmp_path: Path) -> None:
    paused = Ledger.open(storage, SCHEMA, "run-1")
    paused.append([completed("a", note="n")])
    schema = record_schema(pa.schema([("rank", pa.int64())]))
    ledger = Ledger.open(storage, schema, "run-2", taken_from="run-1")
    ledger.append([completed("b", rank=7)])
    ledger.compact()
    assert [(row["note"], row["rank"]) for row in stored(storage)] == [("n", None), (None, 7)]
    with pytest.raises(LeaseLostError):
        paused.append([completed("c")])
    for path in storage.list("records"):
        (tmp_path / "copy").mkdir(exist_ok=True)
        (tmp_path / "copy" / path.rsplit("/")[-1]).write_bytes(storage.read(path))
    read = pd.read_parquet(tmp_path / "copy").sort_values("id")
    assert list(read["rank"].fillna(0)) == [0, 7], "pandas takes the columns of the first file"


def test_names_sort_in_the_order_of_the_writes(storage: Storage) -> None:
    written: list[str] = []
    storage.write(f"records/part-{'f' * 32}.parquet", b"of an older version")
    names = [PartName.first("run-1", list_parts(storage))]
    names += [names[0].next, names[0].next.next]
    for name in names:
        written.append(name.path)
        storage.write(name.path, b"")
    written.append(PartName.first("run-2", list_parts(storage)).path)
    assert written == sorted(written)
    assert all(path > f"records/part-{'f' * 32}.parquet" for path in written)
