"""Checks packed datasets: their shards, and the images in them against the hashes of their samples.

A row that was generated again after the packing is in its shard as it was. That is not a problem:
the next packing brings it up to date.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from typing import Any

from pipelines.packing.layout import Sample
from pipelines.packing.pack import INDEX_PATH
from pipelines.packing.shard import FOLDER, is_shard, read_samples
from pipelines.storage.storage import Storage
from pipelines.tools.problems import Findings, Problem
from pipelines.tools.verification.counts import VerifyCounts
from pipelines.tools.verification.image_checks import Fault
from pipelines.tools.verification.signature_check import SignatureCheck


def check_dataset(
    dataset: Storage,
    signatures: SignatureCheck,
    found: Findings,
    counts: VerifyCounts,
    show: Callable[[int], None],
) -> None:
    """Check all shards that the index of a dataset lists, one image at a time.

    Args:
        dataset: the folder of the dataset.
        signatures: checks the signatures of images.
        found: takes the problems.
        counts: counts shards and images.
        show: called with the number of images so far.

    Raises:
        ConfigError: an image is signed, and the C2PA library is not installed.
        StorageError: a store failed.
    """
    sizes = dataset.sizes(FOLDER)
    for shard in _listed(dataset, found):
        path, images = str(shard.get("path")), 0
        if path not in sizes or not is_shard(path):
            _add(found, "shard_missing", dataset.uri(path), "the index lists this shard")
            continue
        counts.shards += 1
        try:
            for sample in read_samples(dataset, path, sizes[path]):
                images += 1
                counts.shard_images += 1
                show(counts.shard_images)
                for fault in _faults(sample, signatures, dataset.uri(path)):
                    _add(found, fault.kind, dataset.uri(path), fault.message, sample.row_id)
        except ValueError as error:
            _add(found, "shard_damaged", dataset.uri(path), f"the shard is damaged ({error})")
            continue
        if images != shard.get("images"):
            message = f"the shard has {images} images, and the index says {shard.get('images')}"
            _add(found, "shard_damaged", dataset.uri(path), message)


def _faults(sample: Sample, signatures: SignatureCheck, place: str) -> Iterator[Fault]:
    if hashlib.sha256(sample.data).hexdigest() != sample.sha256:
        message = f"image {sample.index} of the row has another SHA-256 than its sample"
        yield Fault("sample_changed", message)
        return
    for fault in signatures.of_sample(sample, place):
        yield Fault(fault.kind, f"image {sample.index} of the row: {fault.message}")


def is_dataset(folder: Storage) -> bool:
    """Return True if a folder holds a packed dataset.

    Raises:
        StorageError: the folder cannot be read.
    """
    return folder.exists(INDEX_PATH)


def _listed(dataset: Storage, found: Findings) -> Iterator[dict[str, Any]]:
    try:
        shards = json.loads(dataset.read(INDEX_PATH))["shards"]
        yield from (dict(shard) for shard in shards)
    except (ValueError, KeyError, TypeError) as error:
        message = f"the index of the dataset is damaged ({type(error).__name__})"
        _add(found, "shard_damaged", dataset.uri(INDEX_PATH), message)


def _add(found: Findings, kind: str, uri: str, reason: str, row_id: str | None = None) -> None:
    message = f"{reason}; remove the shard, and pack again"
    found.add(Problem(kind, None, row_id, 0 if row_id is None else 1, message, uri))
