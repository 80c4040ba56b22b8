"""Check at the start of a run whether the output still holds what its records say."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from itertools import islice

from pipelines.checks.images import LostImage, lost_by_content, lost_by_size
from pipelines.driver.prepare import PreparedRun
from pipelines.driver.signals import StopRequest
from pipelines.ledger.row_state import Mark
from pipelines.telemetry.progress import ProgressReporter

logger = logging.getLogger(__name__)

_SHOWN = 20
_AT_ONCE = 4096


def recheck(prepared: PreparedRun, progress: ProgressReporter, stop: StopRequest) -> None:
    """Mark the recorded rows that `output.check_images` finds; the run generates them again.

    Call it before the first row is selected.

    Raises:
        LedgerError, StorageError: the records or the images cannot be read.
        RunError: the output is no longer this driver's.
        KeyboardInterrupt: a signal arrived.
    """
    if prepared.config.output.check_images == "none":
        return
    stop.interrupt_at_once()
    try:
        _mark_lost_images(prepared, progress)
    finally:
        stop.let_rows_end()


def _mark_lost_images(prepared: PreparedRun, progress: ProgressReporter) -> None:
    def show(step: str, done: int) -> None:
        prepared.check_lease()
        if progress.due:
            progress.show(f"{step}: {done:,}")

    found = _found(prepared, show)
    images, rows, last_id = 0, 0, None
    while some := list(islice(found, _AT_ONCE)):
        prepared.ledger.mark([image.row_id for image in some], Mark.IMAGE_LOST)
        for image in some:
            level = logging.WARNING if images < _SHOWN else logging.INFO
            logger.log(
                level, "image_lost row_id=%s image=%s fault=%r",
                image.row_id, image.uri, image.fault,
            )  # fmt: skip
            images += 1
            rows += image.row_id != last_id
            last_id = image.row_id
    if images:
        logger.warning(
            "images_lost images=%d rows=%d: rows of this manifest are generated again", images, rows
        )


def _found(prepared: PreparedRun, show: Callable[[str, int], None]) -> Iterator[LostImage]:
    find = lost_by_content if prepared.config.output.check_images == "full" else lost_by_size
    return find(prepared.ledger.opening_records(), prepared.output, show)
