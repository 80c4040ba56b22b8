"""Check at the start of a run whether its records are still true: references and images."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import islice

from pipelines.checks.current_marks import CurrentMarks
from pipelines.checks.images import LostImage, lost_by_content, lost_by_size
from pipelines.checks.overwritten import settle_overwritten
from pipelines.checks.references import ReferenceCheck
from pipelines.checks.seen_versions import SeenVersions
from pipelines.driver.prepare import PreparedRun
from pipelines.driver.signals import StopRequest
from pipelines.fetch.fetcher import Fetcher
from pipelines.ledger.row_state import Mark
from pipelines.storage.urls import redact_uri
from pipelines.telemetry.progress import ProgressReporter

logger = logging.getLogger(__name__)

Show = Callable[[str, int], None]
"""Called with the current step and the number done."""

_SHOWN = 20
_TIMEOUT_S = 20
_AT_ONCE = 4096


def recheck(prepared: PreparedRun, progress: ProgressReporter, stop: StopRequest) -> None:
    """Mark recorded rows whose references were replaced, or whose images are lost.

    `fetch.fingerprint` and `output.check_images` say what to look at. Images that a killed run has
    replaced, without a new record, are always looked at. Call it before the first row is selected.

    Raises:
        LedgerError, StorageError: the records or the images cannot be read.
        RunError: the output is no longer this driver's.
        KeyboardInterrupt: a signal arrived.
    """
    checks: list[Callable[[PreparedRun, Show], None]] = [_mark_overwritten_images]
    if not prepared.config.fetch.fingerprints.is_off:
        checks.append(_mark_changed_references)
    if prepared.config.output.check_images != "none":
        checks.append(_mark_lost_images)

    def show(step: str, done: int) -> None:
        prepared.check_lease()
        if progress.due:
            progress.show(f"{step}: {done:,}")

    stop.interrupt_at_once()
    try:
        for check in checks:
            check(prepared, show)
    finally:
        stop.let_rows_end()


def _mark_changed_references(prepared: PreparedRun, show: Show) -> None:
    fetch, options = prepared.config.fetch, prepared.spec.storage
    least = {"timeout_s": min(fetch.timeout_s, _TIMEOUT_S), "attempts": min(fetch.attempts, 2)}
    fetch = fetch.model_copy(update={**least, "cache_mb": 0})
    seen = SeenVersions(prepared.output)
    with closing(Fetcher(fetch, options)) as fetcher:
        check = ReferenceCheck(fetcher, fetch, CurrentMarks(fetcher, options), seen)
        uris = rows = 0
        for changes in check.changes(prepared.ledger.opening_records(), show):
            prepared.ledger.mark(changes.row_ids, Mark.REFERENCE_CHANGED)
            for uri in changes.uris:
                level = logging.WARNING if uris < _SHOWN else logging.INFO
                logger.log(level, "reference_changed uri=%s", redact_uri(uri))
                uris += 1
            rows += len(changes.row_ids)
    seen.save()
    if uris:
        logger.warning(
            "references_changed references=%d rows=%d: output.on_change decides", uris, rows
        )
    if check.unknown:
        logger.warning("references_unknown references=%d: they count as unchanged", check.unknown)


def _mark_overwritten_images(prepared: PreparedRun, show: Show) -> None:
    found = settle_overwritten(prepared.output, prepared.ledger.opening_records, show)
    _mark_lost(prepared, iter(found))


def _mark_lost_images(prepared: PreparedRun, show: Show) -> None:
    _mark_lost(prepared, _found(prepared, show))


def _mark_lost(prepared: PreparedRun, found: Iterator[LostImage]) -> None:
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


def _found(prepared: PreparedRun, show: Show) -> Iterator[LostImage]:
    find = lost_by_content if prepared.config.output.check_images == "full" else lost_by_size
    return find(prepared.ledger.opening_records(), prepared.output, show)
