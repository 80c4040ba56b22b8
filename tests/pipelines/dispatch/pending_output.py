"""An output in memory and its manifest, for tests of the selection of pending rows.

A selection is made in three ways, which must agree: every row is read; recorded rows are skipped;
groups of them are left unread.
"""

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
from pipelines.editions import Edition
from pipelines.errors import RowsChangedError
from pipelines.failures import Failure, FailureCode
from pipelines.keys.index import keys_of
from pipelines.ledger.counts import LedgerCounts
from pipelines.ledger.done_rows import DoneRows
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.left_out import no_keys
from pipelines.ledger.row_state import Mark
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
    """The decisions of a run.

    Attributes:
        pending: the rows that it generates, or its error.
        skipped: the number of other rows.
        changed: the number of completed rows that have changed.
        counts: the numbers of records before and after the pass.
        unmet: the keys of the records whose rows the pass has not met, sorted.
        left_out: the number of rows that were skipped without being parsed.
        unread: the number of rows that were not even read.
    """

    pending: Sequence[ManifestEntry] | str
    skipped: int = 0
    changed: int = 0
    counts: Sequence[LedgerCounts] = ()
    unmet: Sequence[bytes] = ()
    left_out: int = 0
    unread: int = 0


class Output:
    """One output in memory, and the manifest that runs read."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "manifest.parquet"
        self.storage = Storage.at(f"memory://{secrets.token_hex(8)}")

    @property
    def files(self) -> Any:
        """The path of the manifest."""
        return self.path

    def write(self, listed: Sequence[Row], schema: pa.Schema = SCHEMA) -> None:
        """Make this the manifest, with groups of three rows."""
        table = pa.Table.from_pylist(list(listed), schema=schema)
        pq.write_table(table, self.path, row_group_size=3)

    def ledger(
        self, manifest: Manifest, editions: Sequence[Edition] = (), **options: Any
    ) -> Ledger:
        schema = record_schema(manifest.extra_schema)
        return Ledger.open(self.storage, schema, editions=editions, **options)

    def record(
        self,
        codes: Sequence[FailureCode | None] = (None,),
        card: ModelCard = CARD,
        most: int | None = None,
        *,
        unread: bool = False,
        **sections: Any,
    ) -> None:
        """Record a run whose accepted rows end with `codes`, over and over.

        Args:
            codes: the outcomes; None: completed.
            card: the model.
            most: the number of rows after which the run is killed; None: it is not.
            unread: leave groups that are done unread.
            sections: sections of the configuration.
        """
        run = config(self.files, **sections)
        manifest = Manifest.open(run, card)
        editions = manifest.editions if unread else []
        ledger = self.ledger(manifest, editions, retry_failed=run.on_error.retry_failed)
        selection = RowSelection(ledger, run.output, run.on_error, RunStats())
        facts = RunFacts(run_id="r", model=card.name, preset="exact")
        records: list[dict[str, Any]] = []
        for batch in selection.pending(manifest if unread else SeenFirst(manifest)):
            for entry in batch:
                code = codes[len(records) % len(codes)]
                failure = None if code is None else Failure(code, "no")
                if isinstance(entry.row, RejectedRow):
                    failure = entry.row.failure
                outcome = Outcome(row_id=entry.row.id, failure=failure)
                now = datetime.now(timezone.utc)
                records.append(make_record(entry, outcome, facts, attempt=1, created_at=now))
        ledger.append(records[:most])

    def select(
        self, card: ModelCard = CARD, marked: Sequence[str] = (), **sections: Any
    ) -> Selected:
        """Select the rows of the next run in each way; all must agree.

        Args:
            card: the model.
            marked: the ids of rows whose images are lost.
            sections: sections of the configuration.
        """
        run = config(self.files, **sections)
        manifest = Manifest.open(run, card)
        slow = self._select(run, manifest, marked, lambda manifest, _done: manifest.batches())
        fast = self._select(run, manifest, marked, Manifest.batches)
        least = self._select(run, manifest, marked, Manifest.batches, manifest.editions)
        assert replace(fast, left_out=0) == slow
        assert replace(least, left_out=0, unread=0) == slow
        return replace(fast, unread=least.unread)

    def _select(
        self,
        run: RunConfig,
        manifest: Manifest,
        marked: Sequence[str],
        batches: Any,
        editions: Sequence[Edition] = (),
    ) -> Selected:
        left_out: list[int] = []
        unread: list[int] = []

        class Counted:
            def batches(self, done: DoneRows) -> Iterator[Batch]:
                flags = [zip(each.groups, done.unread(each), strict=True) for each in editions]
                unread.extend(size for each in flags for size, is_unread in each if is_unread)
                for batch in batches(manifest, done):
                    left_out.append(batch.num_skipped)
                    yield batch

        stats, again = RunStats(), run.on_error.retry_failed
        ledger = self.ledger(manifest, editions, retry_failed=again)
        before = ledger.counts()
        if marked:
            ledger.mark(marked, Mark.IMAGE_LOST)
        selection = RowSelection(ledger, run.output, run.on_error, stats)
        try:
            pending = [entry for batch in selection.pending(Counted()) for entry in batch]
        except RowsChangedError as error:
            return Selected(str(error))
        unmet = ledger.unmet() if manifest.is_whole else no_keys()
        counts = [_without_examples(one) for one in (before, ledger.counts())]
        keys = sorted(keys_of(unmet.high, unmet.low))
        sums = (sum(left_out), sum(unread))
        return Selected(pending, stats.skipped, stats.changed, counts, keys, *sums)


def _without_examples(counts: LedgerCounts) -> LedgerCounts:
    """Return counts without their examples, after a check that they are of the same codes."""
    assert set(counts.examples) == set(counts.failed_by_code)
    return replace(counts, examples={}, failed_by_code=dict(sorted(counts.failed_by_code.items())))


def pending_ids(selected: Selected) -> list[str]:
    assert not isinstance(selected.pending, str), selected.pending
    return [entry.row.id for entry in selected.pending]
