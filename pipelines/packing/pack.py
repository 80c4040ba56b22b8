"""An output's completed rows as one dataset in shards, brought up to date with the records.

The records are the truth: which row is in which shard follows from them alone, and each shard says
itself what it holds. So whatever is cut off at any point, packing again writes what is missing or
out of date, and leaves the rest. Each shard is one atomic write, in the place of the one before; a
row is never in two shards of the same number of shards. Where that number changes, the new shards
are written beside the old ones, the index and the card change over, and then the old ones go.
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
from pipelines.packing.facts import COLUMNS, DrawnFacts, FactsTally
from pipelines.packing.plan import Planner, ShardPlan
from pipelines.packing.samples import sample_schema
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
"""Does `write_shard` for each task, and gives the paths as they are written."""
Progress = Callable[[int, int], None]
"""Is told how many shards are written, and how many there are to write."""


@dataclass(frozen=True, slots=True)
class PackRequest:
    """What is to be packed.

    Attributes:
        output: of a run.
        dest: the dataset's folder; nothing in it but its shards, index and card is touched.
        layout: of the shards.
        shard_images: images per shard, about.
    """

    output: Storage
    dest: Storage
    layout: LayoutName
    shard_images: int


@dataclass(frozen=True, slots=True)
class PackFacts:
    """What the dataset is now.

    Attributes:
        uri: of its folder.
        rows: in it.
        images: in it.
        shards: of it.
        written: shards that were missing or out of date.
        has_card: False where a README.md of somebody else's was left as it is.
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

    Pixels go through `write_shards` only. Memory here: about 100 bytes a record.

    Raises:
        PackError: an image is not as recorded, or a shard at `dest` is none of ours.
        LedgerError: the records cannot be used.
        StorageError: something cannot be read or written.
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
    """The dataset that the records of one moment make.

    Attributes:
        paths: of its shards.
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
        """Write these shards; gives the path of each one that is stored."""
        request = self._request
        with completed_by_shard(self._records, self._plan, wanted) as by_shard:
            yield from write_shards(
                ShardTask(request.layout, self.paths[number], request.output, request.dest, rows)
                for number, rows in by_shard
            )

    def publish(self, facts: DrawnFacts) -> bool:
        """Name the shards in the index and the card; returns whether there is a card of ours."""
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
        samples = sample_schema(self._records.schema)
        card = Card(request.layout, samples, plan, self._records.counts(), facts)
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


def _planned(records: Records, shard_images: int) -> tuple[ShardPlan, DrawnFacts]:
    planner, tally = Planner(records.schema), FactsTally()
    for batch in records.batches(("id", "status", "created_at", *COLUMNS)):
        rows = completed(batch)
        planner.add(rows)
        tally.add(rows)
    return planner.plan(shard_images), tally.facts()
