from __future__ import annotations

import io
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.errors import LeaseLostError, PruneError, StorageError
from pipelines.ledger.lease import Lease
from pipelines.ledger.ledger import Ledger, count_records
from pipelines.ledger.left_out import LEFT_OUT_PATH, ManifestLook
from pipelines.manifest.table import PARTIAL_MARK
from pipelines.record import record_schema
from pipelines.storage.storage import Storage
from pipelines.tools.pruning.prune import (
    JOURNAL_PATH,
    Prunable,
    PruneFacts,
    count_prunable,
    find_prunable,
    prune,
)
from tests.pipelines.manifests import opened
from tests.pipelines.mortal_storage import KilledError, MortalStorage
from tests.pipelines.packing.outputs import generated
from tests.pipelines.records import stored
from tests.pipelines.tools.report.outputs import EXTRA, commit, failed

_LOOK = ManifestLook("m.parquet", "r", "now")


def manifest(folder: Path, ids: Sequence[str], **sections: Any) -> Any:
    path = folder / "m.parquet"
    schema = sections.pop("schema", None)
    pq.write_table(pa.table({"id": ids, "prompt": ["p"] * len(ids)}, schema=schema), path)
    return opened(path, **sections)


def filled(storage: Storage) -> None:
    """Record six rows; one has an older record with another image, one has failed."""
    commit(storage, generated(storage, "a", images=2), generated(storage, "b"), failed("c"))
    commit(storage, generated(storage, "d", ext="webp", at=-1))
    commit(storage, generated(storage, "d", images=2), generated(storage, "e.1"), failed("f"))


def found(storage: Storage, folder: Path, ids: Sequence[str]) -> tuple[Ledger, Prunable]:
    ledger = Ledger.view(storage, record_schema(EXTRA))
    return ledger, find_prunable(storage, ledger, manifest(folder, ids))


def pruned(storage: Storage, folder: Path, ids: Sequence[str]) -> PruneFacts:
    with Lease(storage, "prune") as lease:
        return prune(storage, *found(storage, folder, ids), lease)


def images_of(storage: Storage) -> set[str]:
    return {Path(path).name for path in storage.list("images")}


def named(storage: Storage) -> set[str]:
    """Return the names of the images of all records."""
    return {uri.rpartition("/")[2] for row in stored(storage) for uri in row["outputs"] or ()}


def test_records_and_images_of_other_rows_go_and_nothing_else(
    storage: Storage, tmp_path: Path
) -> None:
    filled(storage)
    storage.write("images/00/mine.png", b"not of a record")
    before = {row["id"]: row for row in stored(storage)}
    shown: list[str] = []
    _, doomed = found(storage, tmp_path, ["a", "c", "new"])
    listed = count_prunable(storage, doomed, lambda one: shown.append(one.row_id))
    assert {row["id"]: row for row in stored(storage)} == before  # it was only looked at
    assert sorted(shown) == ["b", "d", "e.1", "f"]
    assert listed == pruned(storage, tmp_path, ["a", "c", "new"]) == PruneFacts(4, 5)
    assert stored(storage) == [before["a"], before["c"]]
    assert images_of(storage) == named(storage) | {"mine.png"}
    assert count_records(storage).records == 2
    assert not storage.exists(JOURNAL_PATH)
    assert pruned(storage, tmp_path, ["a", "c", "new"]) == PruneFacts(0, 0)


def test_rows_are_removed_whether_or_not_a_run_has_left_them_out(tmp_path: Path) -> None:
    storage = Storage.at(f"memory://{secrets.token_hex(8)}")
    filled(storage)
    ledger = Ledger.open(storage, record_schema(EXTRA))
    ledger.lookup(["a", "b", "c"])
    ledger.leave_out(_LOOK, whole=True)
    assert count_records(storage).left_out == 3
    pruned(storage, tmp_path, ["a", "f"])  # f has come back, b and c have gone since
    assert [row["id"] for row in stored(storage)] == ["a", "f"]
    assert not storage.exists(LEFT_OUT_PATH)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_kill_at_any_change_leaves_no_record_without_its_images(
    tmp_path: Path, after: bool
) -> None:
    template = Storage.at(f"memory://{secrets.token_hex(8)}")
    filled(template)
    files = {path: template.read(path) for path in template.list("")}
    kills = 0
    for dies_at in range(1, 100):
        url = f"memory://{secrets.token_hex(8)}"
        storage = Storage.at(url)
        for path, data in files.items():
            storage.write(path, data)
        mortal = MortalStorage(url, {}, dies_at=dies_at, after=after)
        ledger, doomed = found(storage, tmp_path, ["a", "c"])
        with Lease(storage, "prune") as lease:
            try:
                prune(mortal, ledger, doomed, lease)
            except KilledError:
                kills += 1
        assert named(storage) <= images_of(storage)
        assert {row["id"] for row in stored(storage)} >= {"a", "c"}
        pruned(storage, tmp_path, ["a", "c"])
        assert {row["id"] for row in stored(storage)} == {"a", "c"}
        assert images_of(storage) == named(storage)
        assert not storage.exists(JOURNAL_PATH)
        if kills < dies_at:
            break
    assert 8 <= kills < 99


def test_a_row_that_was_generated_again_after_an_interrupted_pruning_keeps_its_images(
    tmp_path: Path,
) -> None:
    url = f"memory://{secrets.token_hex(8)}"
    storage = Storage.at(url)
    filled(storage)
    ledger, doomed = found(storage, tmp_path, ["a", "c"])
    mortal = MortalStorage(url, {}, dies_at=1, after=True)
    with Lease(storage, "prune") as lease:
        with pytest.raises(KilledError):
            prune(mortal, ledger, doomed, lease)
        Ledger.open(storage, record_schema(EXTRA)).remove(doomed.keys)
    assert {row["id"] for row in stored(storage)} == {"a", "c"}
    commit(storage, generated(storage, "b", at=1))
    pruned(storage, tmp_path, ["a", "b", "c"])
    assert {row["id"] for row in stored(storage)} == {"a", "b", "c"}
    assert images_of(storage) == named(storage)


def write_journal(storage: Storage, ids: list[Any], images: list[Any]) -> None:
    sink = io.BytesIO()
    pq.write_table(pa.table({"id": ids, "images": images}), sink)
    storage.write(JOURNAL_PATH, sink.getvalue())


@pytest.mark.parametrize(
    ("ids", "images"),
    [([None], [["images/aa/x.png"]]), (["x"], [None]), (["x"], [[None]]), ([1], [[]])],
)
def test_a_foreign_list_of_images_to_remove_is_named(
    tmp_path: Path, ids: list[Any], images: list[Any]
) -> None:
    storage = Storage.at(str(tmp_path / "out"))
    filled(storage)
    before = stored(storage)
    write_journal(storage, ids, images)
    ledger, doomed = found(storage, tmp_path, ["a"])
    with (
        Lease(storage, "prune") as lease,
        pytest.raises(StorageError, match="not a list of images to remove"),
    ):
        prune(storage, ledger, doomed, lease)
    assert stored(storage) == before


def test_only_images_of_the_output_are_removed(tmp_path: Path) -> None:
    storage = Storage.at(str(tmp_path / "out"))
    filled(storage)
    uris = ["../m.parquet", "records", "run/x", "images/aa/gone.png"]
    write_journal(storage, ["x"], [uris])
    storage.write("run/x", b"x")
    pruned(storage, tmp_path, ["a"])
    assert storage.exists("run/x")
    assert [row["id"] for row in stored(storage)] == ["a"]


def test_a_lost_lease_ends_it_before_anything_is_removed(tmp_path: Path) -> None:
    storage = Storage.at(f"memory://{secrets.token_hex(8)}")
    filled(storage)
    before = stored(storage)
    ledger, doomed = found(storage, tmp_path, ["a"])
    with Lease(storage, "prune") as lease:
        storage.delete("run/lease.json")
        with pytest.raises(LeaseLostError, match="another driver has taken over"):
            prune(storage, ledger, doomed, lease)
    assert stored(storage) == before


@pytest.mark.parametrize(
    ("ids", "sections", "message"),
    [
        (["x", "y"], {}, "none of its 6 records is of a row of this manifest, which has 2 rows"),
        (["a"], {"manifest": {"partial": True}}, "only some rows"),
        (["a"], {"manifest": {"limit": 5}}, "only some rows"),
        (["a"], {"manifest": {"shard": "0/2"}}, "only some rows"),
        (
            ["a"],
            {
                "schema": pa.schema(
                    [("id", pa.string()), ("prompt", pa.string())], metadata=PARTIAL_MARK
                )
            },
            "only some rows",
        ),
    ],
)
def test_a_manifest_that_does_not_tell_removes_nothing(
    tmp_path: Path, ids: list[str], sections: dict[str, Any], message: str
) -> None:
    storage = Storage.at(f"memory://{secrets.token_hex(8)}")
    filled(storage)
    ledger = Ledger.view(storage, record_schema(EXTRA))
    rows = manifest(tmp_path, pa.array(ids, pa.string()), **sections)
    with pytest.raises(PruneError, match=message):
        find_prunable(storage, ledger, rows)
