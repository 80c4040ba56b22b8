from __future__ import annotations

import math
from datetime import datetime, timezone
from pathlib import Path

import pytest

from pipelines.errors import ComposeError
from pipelines.failures import Failure
from pipelines.ledger.ledger import Ledger
from pipelines.record import RunFacts, make_record, record_schema
from pipelines.rows import Outcome
from pipelines.storage.storage import Storage
from pipelines.tools.compose.chosen import ChosenRows
from pipelines.tools.compose.low_scores import low_scores
from pipelines.tools.compose.score_table import ScoreTable
from tests.pipelines.manifests import entries, opened, valid, write

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)
FACTS = RunFacts(run_id="r", model="m", preset="exact")


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    scores = [1.0, 5.0, 4.9, None, math.nan, 0.5]
    ids = [f"row-{n}" for n in range(6)]
    columns = {"id": ids, "prompt": ["p"] * 6, "aesthetic": scores, "note": ["n"] * 6}
    return write(tmp_path / "m.parquet", columns)


@pytest.fixture
def output(tmp_path: Path, manifest: Path) -> Storage:
    """Six rows, of which the last one failed."""
    storage = Storage.at(str(tmp_path / "out"))
    source = opened(manifest)
    records = []
    for entry in source.entries():
        failure = Failure("uri_timeout", "why") if entry.row.id == "row-5" else None
        outcome = Outcome(row_id=entry.row.id, failure=failure)
        records.append(make_record(entry, outcome, FACTS, attempt=1, created_at=NOW))
    Ledger.open(storage, record_schema(source.extra_schema)).append(records)
    return storage


def test_completed_rows_below_the_bound_are_chosen(output: Storage) -> None:
    low = low_scores(output, "aesthetic", 5.0)
    assert low.ids == {"row-0", "row-2"}
    assert (low.scored, low.unscored) == (3, 2)


def test_they_are_drawn_with_other_seeds(output: Storage, manifest: Path, tmp_path: Path) -> None:
    before = {entry.row.id: valid(entry) for entry in entries(manifest)}
    rows = ChosenRows(low_scores(output, "aesthetic", 5.0).ids, new_seeds=True)
    found = [row for batch in rows.rows(opened(manifest)).batches for row in batch.to_pylist()]
    assert [row["id"] for row in found] == ["row-0", "row-2"]
    assert [row["aesthetic"] for row in found] == [1.0, 4.9]
    assert all(row["seed"] != before[row["id"]].parameters.seed for row in found)
    columns = {name: [row[name] for row in found] for name in found[0]}
    again = write(tmp_path / "again.parquet", columns)
    assert all(
        valid(entry).fingerprint != before[entry.row.id].fingerprint for entry in entries(again)
    )


def test_no_row_below_the_bound_is_reported(output: Storage) -> None:
    with pytest.raises(ComposeError, match="no completed row has 'aesthetic' below 1 "):
        low_scores(output, "aesthetic", 1.0)


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ("clip", "no column 'clip'; numbers are .*aesthetic; or .* --scores"),
        ("note", "column 'note' is string"),
    ],
)
def test_a_column_that_cannot_be_used_is_named(output: Storage, column: str, message: str) -> None:
    with pytest.raises(ComposeError, match=message):
        low_scores(output, column, 5.0)


def test_scores_of_another_table(output: Storage, tmp_path: Path) -> None:
    path = write(tmp_path / "s.parquet", {"id": ["row-1", "row-5", "other"], "clip": [0.1] * 3})
    low = low_scores(output, "clip", 0.5, ScoreTable(str(path), "clip", {}))
    assert low.ids == {"row-1"}
    assert (low.scored, low.unscored) == (1, 4)
