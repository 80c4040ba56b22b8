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
from pipelines.ledger.records import Records, completed
from pipelines.packing.card import Card, write_card
from pipelines.packing.facts import COLUMNS, CompletedFacts, FactsTally
from pipelines.packing.plan import Planner, ShardPlan
from pipelines.packing.samples import recorded_types, sample_schema
from pipelines.packing.shard import (
    FOLDER,
    ShardTask,
    is_shard,
    read_digest,
    shard_path,
    write_in_threads,
)
from pipelines.packing.split import completed_by_shard
from pipelines.storage.storage import Storage

logger = logging.getLogger(__name__)

INDEX_PATH = "index.json"
_READERS = 16

WriteShards = Callable[[Iterator[ShardTask]], Iterator[str]]
"""Runs `write_shard` for each task, and yields the paths as they are written."""
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
    """

    output: Storage
    dest: Storage
    layout: LayoutName
    shard_images: int


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
    """

    uri: str
    rows: int
    images: int
    shards: int
    written: int
    has_card: bool


def pack(
    request: PackRequest,
    write_shards: WriteShards = write_in_threads,
    progress: Progress = lambda _done, _total: None,
) -> PackFacts:
    """Bring the dataset at `dest` up to date with the records; safe to interrupt and to repeat.

    Only `write_shards` reads images. This function needs about 100 bytes of memory per record.

    Raises:
        PackError: an image differs from its record, or another program wrote a shard at `dest`.
        LedgerError: the records cannot be used.
        StorageError: a file cannot be read or written.
    """
    records = Records(request.output)
    plan, facts = _planned(records, request.shard_images)
    packing = _Packing(request, records, plan)
    stored = _stored_shards(request.dest)
    wanted = packing.missing_in(stored)
    logger.info("packing shards=%d of=%d rows=%d", len(wanted), len(plan), sum(plan.rows))
    progress(0, len(wanted))
    for done, _ in enumerate(packing.write(wanted, write_shards), 1):
        progress(done, len(wanted))
    has_card = packing.publish(facts) if len(plan) or stored else False
    for path in stored.keys() - set(packing.paths):
        request.dest.delete(path)
    return PackFacts(
        uri=request.dest.uri(),
        rows=sum(plan.rows),
        images=sum(plan.images),
        shards=len(plan),
        written=len(wanted),
        has_card=has_card,
    )


class _Packing:
    """The dataset that follows from the current records.

    Attributes:
        paths: paths of its shards.
    """

    def __init__(self, request: PackRequest, records: Records, plan: ShardPlan) -> None:
        self._request = request
        self._records = records
        self._plan = plan
        count = len(plan)
        self.paths = [shard_path(request.layout, number, count) for number in range(count)]

    def missing_in(self, stored: Mapping[str, str]) -> list[int]:
        """Return the shards that are missing or out of date; `stored` maps paths to digests."""
        expected = enumerate(zip(self.paths, self._plan.digests, strict=True))
        return [number for number, (path, digest) in expected if stored.get(path) != digest]

    def write(self, wanted: Sequence[int], write_shards: WriteShards) -> Iterator[str]:
        """Write these shards; yields the path of each stored shard."""
        request = self._request
        with completed_by_shard(self._records, self._plan, wanted) as by_shard:
            yield from write_shards(
                ShardTask(request.layout, self.paths[number], request.output, request.dest, rows)
                for number, rows in by_shard
            )

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


def _planned(records: Records, shard_images: int) -> tuple[ShardPlan, CompletedFacts]:
    planner, tally = Planner(records.schema), FactsTally()
    for batch in records.batches(("id", "status", "created_at", *COLUMNS)):
        rows = completed(batch)
        planner.add(rows)
        tally.add(rows)
    return planner.plan(shard_images), tally.facts()
