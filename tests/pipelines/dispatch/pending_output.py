"""An output in memory and its manifest, for tests of the selection of pending rows."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.config.schema import RunConfig
from pipelines.dispatch.pending import RowSelection
from pipelines.errors import RowsChangedError
from pipelines.failures import Failure, FailureCode
from pipelines.ledger.done_rows import DoneRows
from pipelines.ledger.ledger import Ledger
from pipelines.manifest.manifest import Batch, Manifest
from pipelines.record import RunFacts, make_record, record_schema
from pipelines.rows import ManifestEntry, Outcome, RejectedRow
from pipelines.storage.storage import Storage
from pipelines.telemetry.stats import RunStats
from tests.pipelines.manifests import CARD, config
from uso_core.loading.source import ModelCard

SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("prompt", pa.string()),
        ("content_image", pa.string()),
        ("style_images", pa.list_(pa.string())),
        ("style_weights", pa.list_(pa.float64())),
        ("width", pa.int32()),
        ("seed", pa.int64()),
        ("label", pa.string()),
    ]
)


Row = dict[str, Any]


def rows(count: int = 6) -> list[Row]:
    return [
        {
            "id": f"row-{n}",
            "prompt": f"p{n}",
            "content_image": f"{n}.png",
            "style_images": ["s.png"],
        }
        for n in range(count)
    ]


@dataclass
class SeenFirst:
    """A manifest that skips nothing, as if it had no digests."""

    manifest: Manifest

    def batches(self, _done: DoneRows) -> Iterator[Batch]:
        return self.manifest.batches()


@dataclass(frozen=True)
class Selected:
    """The decisions of a run."""

    pending: Sequence[ManifestEntry] | str
    skipped: int
    changed: int
    left_out: int


class Output:
    """One output in memory, and the manifest that runs read."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "manifest.parquet"
        self.storage = Storage.at(f"memory://{secrets.token_hex(8)}")

    def write(self, listed: Sequence[Row], schema: pa.Schema = SCHEMA) -> None:
        """Make this the manifest; small row groups, so that batches are small, too."""
        pq.write_table(pa.Table.from_pylist(list(listed), schema=schema), self.path)

    def ledger(self, manifest: Manifest) -> Ledger:
        return Ledger.open(self.storage, record_schema(manifest.extra_schema))

    def record(
        self,
        codes: Sequence[FailureCode | None] = (None,),
        card: ModelCard = CARD,
        **sections: Any,
    ) -> None:
        """Record a run whose accepted rows end with `codes`, over and over."""
        run = config(self.path, **sections)
        manifest = Manifest.open(run, card)
        ledger = self.ledger(manifest)
        selection = RowSelection(ledger, run.output, run.on_error, RunStats())
        facts = RunFacts(run_id="r", model=card.name, preset="exact")
        records: list[dict[str, Any]] = []
        for batch in selection.pending(SeenFirst(manifest)):
            for entry in batch:
                code = codes[len(records) % len(codes)]
                failure = None if code is None else Failure(code, "no")
                if isinstance(entry.row, RejectedRow):
                    failure = entry.row.failure
                outcome = Outcome(row_id=entry.row.id, failure=failure)
                now = datetime.now(timezone.utc)
                records.append(make_record(entry, outcome, facts, attempt=1, created_at=now))
        ledger.append(records)

    def select(self, card: ModelCard = CARD, **sections: Any) -> Selected:
        """Select the rows of the next run, unread and read; both ways must agree."""
        run = config(self.path, **sections)
        manifest = Manifest.open(run, card)
        fast = self._select(run, manifest, Manifest.batches)
        slow = self._select(run, manifest, lambda manifest, _done: manifest.batches())
        assert replace(fast, left_out=0) == slow
        return fast

    def _select(self, run: RunConfig, manifest: Manifest, batches: Any) -> Selected:
        left_out: list[int] = []

        class Counted:
            def batches(self, done: DoneRows) -> Iterator[Batch]:
                for batch in batches(manifest, done):
                    left_out.append(batch.num_skipped)
                    yield batch

        stats = RunStats()
        selection = RowSelection(self.ledger(manifest), run.output, run.on_error, stats)
        try:
            pending: Sequence[ManifestEntry] | str = [
                entry for batch in selection.pending(Counted()) for entry in batch
            ]
        except RowsChangedError as error:
            return Selected(str(error), 0, 0, 0)
        return Selected(pending, stats.skipped, stats.changed, sum(left_out))


def pending_ids(selected: Selected) -> list[str]:
    assert not isinstance(selected.pending, str), selected.pending
    return [entry.row.id for entry in selected.pending]
