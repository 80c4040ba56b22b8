"""Packs the completed rows of an output into shards, and updates shards that were packed before.

The records alone decide which row is in which shard, and each shard stores a digest of its
contents. So packing can be interrupted at any point: packing again writes the shards that are
missing or out of date and leaves the others. Each shard is written atomically and replaces its
predecessor, so a row is never in two shards of one dataset. If the number of shards changes, the
new shards are written beside the old ones, then the index and the card switch to them, and then the
old shards are deleted.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pipelines.errors import PackError
from pipelines.formats import LayoutName
from pipelines.in_order import in_order
from pipelines.ledger.left_out import ManifestLook
from pipelines.ledger.records import Records
from pipelines.manifest.chosen_ids import ChosenIds
from pipelines.packing.card import Card, write_card
from pipelines.packing.facts import COLUMNS, CompletedFacts, FactsTally
from pipelines.packing.not_packed import NotPacked, not_packed
from pipelines.packing.packable import PackableRecords
from pipelines.packing.plan import Planner, ShardPlan
from pipelines.packing.samples import recorded_types, sample_schema
from pipelines.packing.shard import (
    FOLDER,
    LAYOUTS,
    ShardResult,
    ShardTask,
    is_shard,
    read_digest,
    remove_shard,
    shard_path,
    write_in_threads,
)
from pipelines.packing.split import completed_by_shard
from pipelines.storage.storage import Storage

logger = logging.getLogger(__name__)

INDEX_PATH = "index.json"
_READERS = 16

WriteShards = Callable[[Iterator[ShardTask]], Iterator[ShardResult]]
"""Runs `write_shard` for each task, and yields the results in any order."""
Progress = Callable[[int, int], None]
"""Called with the number of shards written so far and the number to write."""


@dataclass(frozen=True, slots=True)
class PackRequest:
    """The input, the destination and the form of a dataset.

    Attributes:
        output: output folder of a run.
        dest: folder of the dataset; only its shards, index and card are touched.
        layout: layout of the shards.
        shard_images: target number of images per shard; shards may hold down to half as many.
        skip_missing: leave out rows whose images are missing or differ from their records.
        chosen: the ids of the rows to pack; None for all completed rows.
    """

    output: Storage
    dest: Storage
    layout: LayoutName
    shard_images: int
    skip_missing: bool = False
    chosen: ChosenIds | None = None


@dataclass(frozen=True, slots=True)
class PackFacts:
    """The dataset after packing.

    Attributes:
        uri: URI of its folder.
        rows: number of rows.
        images: number of images.
        shards: number of shards.
        written: number of shards that were missing or out of date.
        has_card: False if a README.md that is not ours was left unchanged.
        lost: number of completed rows that were left out, because an image of theirs is missing or
            differs from its record.
        left_out: number of records that are not packed, because their rows are no longer in the
            manifest.
        look: the pass over the manifest that this follows from; None: nothing is left out.
    """

    uri: str
    rows: int
    images: int
    shards: int
    written: int
    has_card: bool
    lost: int = 0
    left_out: int = 0
    look: ManifestLook | None = None


def pack(
    request: PackRequest,
    write_shards: WriteShards = write_in_threads,
    progress: Progress = lambda _done, _total: None,
) -> PackFacts:
    """Bring the dataset at `dest` up to date with the records; safe to interrupt and to repeat.

    Only `write_shards` reads images. This function needs about 100 bytes of memory per record. If
    images are lost, `not-packed.jsonl` at `dest` lists them all. Images of shards that are up to
    date are not read.

    Raises:
        PackError: an image is missing or differs from its record, and `skip_missing` is false;
            another program wrote a shard at `dest`; or the store loses a shard again and again.
        ManifestError: a chosen id has no completed row.
        LedgerError: the records cannot be used.
        StorageError: a file cannot be read or written.
    """
    records = PackableRecords(Records(request.output), request.chosen)
    records.check_chosen(request.output.uri())
    stored = _stored_shards(request.dest)
    written, vanished = 0, set[str]()
    with not_packed() as lost:
        while True:
            plan, facts = _planned(records, request.shard_images)
            packing = _Packing(request, records, plan)
            rows_before = lost.rows
            written += packing.update(stored, write_shards, progress, lost)
            if lost.rows > rows_before:
                if not request.skip_missing:
                    lost.write(request.dest)
                    raise lost.error(request.dest)
            elif not packing.forget_vanished(stored, vanished):
                break
        # Without shards there may be no folder, and none is made.
        has_card = packing.publish(facts) if len(plan) or stored else False
        if len(plan) or stored or lost.rows:
            lost.write(request.dest)
    for path in stored.keys() - set(packing.paths):
        remove_shard(request.dest, path)
    if packing.paths:
        request.dest.remove_leftovers(FOLDER)  # of tasks whose process was killed meanwhile
    counts = records.counts()
    return PackFacts(
        uri=request.dest.uri(),
        rows=sum(plan.rows),
        images=sum(plan.images),
        shards=len(plan),
        written=written,
        has_card=has_card,
        lost=lost.rows,
        left_out=counts.left_out,
        look=counts.look,
    )


class _Packing:
    """The dataset that follows from the current records.

    Attributes:
        paths: paths of its shards.
    """

    def __init__(self, request: PackRequest, records: PackableRecords, plan: ShardPlan) -> None:
        self._request = request
        self._records = records
        self._plan = plan
        count = len(plan)
        self.paths = [shard_path(request.layout, number, count) for number in range(count)]

    def _missing_in(self, stored: Mapping[str, str]) -> list[int]:
        """Return the shards that are missing or out of date; `stored` maps paths to digests."""
        expected = enumerate(zip(self.paths, self._plan.digests, strict=True))
        return [number for number, (path, digest) in expected if stored.get(path) != digest]

    def update(
        self,
        stored: dict[str, str],
        write_shards: WriteShards,
        progress: Progress,
        lost: NotPacked,
    ) -> int:
        """Write the shards that are missing or out of date, and return the number written.

        Args:
            stored: digests of the stored shards by path; the written ones are added.
            write_shards: writes shards.
            progress: told about each shard.
            lost: collects lost images. Their shards are not written, and the next plan of these
                records leaves out their rows.
        """
        wanted = self._missing_in(stored)
        digests = dict(zip(self.paths, self._plan.digests, strict=True))
        logger.info("packing shards=%d of=%d", len(wanted), len(self._plan))
        progress(0, len(wanted))
        written = 0
        for done, result in enumerate(self._write(wanted, write_shards), 1):
            if result.lost:
                self._records.leave_out(lost.add(result.lost))
            else:
                stored[result.path] = digests[result.path]
                written += 1
            progress(done, len(wanted))
        return written

    def _write(self, wanted: Sequence[int], write_shards: WriteShards) -> Iterator[ShardResult]:
        request = self._request
        with completed_by_shard(self._records, self._plan, wanted) as by_shard:
            yield from write_shards(
                ShardTask(request.layout, self.paths[number], request.output, request.dest, rows)
                for number, rows in by_shard
            )

    def forget_vanished(self, stored: dict[str, str], vanished: set[str]) -> bool:
        """Look for shards that the store has lost, so that they are written again.

        Args:
            stored: digests of the stored shards by path; lost ones are removed.
            vanished: paths of the shards that were lost before; lost ones are added.

        Returns:
            True if there are any.

        Raises:
            PackError: a shard was lost twice.
        """
        dest = self._request.dest
        there = dest.sizes(FOLDER)
        lost = [path for path in self.paths if path not in there]
        if not vanished.isdisjoint(lost):
            raise PackError(
                f"{dest.uri(lost[0])}: {len(lost):,} shards are gone, though the store had "
                "acknowledged them; check the store and pack again"
            )
        for path in lost:
            logger.warning("shard_lost uri=%s", dest.uri(path))
            del stored[path]
        vanished.update(lost)
        return bool(lost)

    def publish(self, facts: CompletedFacts) -> bool:
        """Write the index and the card; returns True if the card is ours."""
        plan, request = self._plan, self._request
        shards = [
            {"path": path, "rows": rows, "images": images}
            for path, rows, images in zip(self.paths, plan.rows, plan.images, strict=True)
        ]
        index = {
            "layout": request.layout,
            "rows": sum(plan.rows),
            "images": sum(plan.images),
            "shards": shards,
        }
        layout = LAYOUTS[request.layout]
        if layout.publish is not None:
            layout.publish(request.dest, self.paths)
        request.dest.write(INDEX_PATH, json.dumps(index, indent=1).encode())
        schema = self._records.schema
        card = Card(
            layout=request.layout,
            samples=sample_schema(schema),
            recorded=recorded_types(schema),
            plan=plan,
            counts=self._records.counts(),
            facts=facts,
        )
        return write_card(request.dest, card)


def _stored_shards(dest: Storage) -> dict[str, str]:
    """Return the digest of each stored shard, by path."""
    dest.remove_leftovers(FOLDER)
    shards = [(path, size) for path, size in dest.sizes(FOLDER).items() if is_shard(path)]
    found = in_order(lambda shard: read_digest(dest, *shard), shards, _READERS)
    digests: dict[str, str] = {}
    for (path, _), digest in zip(shards, found, strict=True):
        if digest is None:
            raise PackError(
                f"{dest.uri(path)}: not made by uso; move it away, or pack into another folder"
            )
        digests[path] = digest
    return digests


def _planned(records: PackableRecords, shard_images: int) -> tuple[ShardPlan, CompletedFacts]:
    planner, tally = Planner(records.schema), FactsTally()
    for batch in records.batches(("id", "status", "created_at", *COLUMNS)):
        rows = records.of(batch)
        planner.add(rows)
        tally.add(rows)
    return planner.plan(shard_images), tally.facts()
