"""The most that further tries of rows can cost, see `best_of`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipelines.config.best_of import BestOfConfig
from pipelines.ledger.records import Records, completed
from pipelines.record import TRIES, columns_of_run
from pipelines.storage.storage import Storage
from pipelines.tools.planning.plan import Plan


@dataclass(frozen=True, slots=True)
class ExtraTries:
    """The worst case, in which no row is good enough before its last try.

    Attributes:
        images: images beyond the tries so far.
        device_s: seconds on all devices together; None: unknown.
        flops: floating-point operations of the denoising.
    """

    images: int
    device_s: float | None
    flops: float


def extra_tries(plan: Plan, best_of: BestOfConfig, output: Storage) -> ExtraTries:
    """Return the worst case of a run's further tries, at the mean cost of its images.

    Raises:
        LedgerError, StorageError: the records of the output cannot be read.
    """
    work = plan.work
    to_come, spent = _recorded(output, best_of.n, work.skipped)
    images = (best_of.n - 1) * work.images + to_come
    if best_of.max_extra is not None:
        images = min(images, max(0, best_of.max_extra - spent))
    share = images / work.images if work.images else None
    device_s = None if share is None or plan.device_s is None else share * plan.device_s
    return ExtraTries(images, device_s, (share or 0.0) * plan.flops)


def _recorded(output: Storage, n: int, skipped: int) -> tuple[int, int]:
    """Return the most images of tries to come, and the fewest so far, of `skipped` recorded rows.

    The run draws the other recorded rows again, so their tries begin anew.
    """
    records = Records(output)
    known = columns_of_run(records.schema)
    names = [name for name in ("status", "outputs", TRIES) if name in known]
    to_come, spent = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for batch in records.batches(names):
        rows = completed(batch).to_pylist()
        images = np.array([len(row["outputs"]) for row in rows], np.int64)
        drawn = np.array([len(row.get(TRIES) or [row]) for row in rows], np.int64)
        to_come.append(np.maximum(0, n - drawn) * images)
        spent.append((drawn - 1) * images)
    most = np.sort(np.concatenate(to_come))[::-1][:skipped]
    fewest = np.sort(np.concatenate(spent))[:skipped]
    return int(most.sum()), int(fewest.sum())
