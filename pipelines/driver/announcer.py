"""Announce the state of a run in its run file and in the events of `notify`."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import TracebackType

from pipelines.driver.prepare import PreparedRun
from pipelines.driver.run_file import RunState
from pipelines.driver.summary import RunSummary
from pipelines.errors import BrokenOffError, LedgerError, ManifestError, PackError, StorageError
from pipelines.telemetry.notifier import Notifier
from pipelines.telemetry.progress import ProgressReporter
from pipelines.telemetry.stats import RunStats
from pipelines.telemetry.webhook import Event, Webhook

logger = logging.getLogger(__name__)


class RunAnnouncer:
    """Announces the run as running while entered, and its end."""

    def __init__(self, prepared: PreparedRun, stats: RunStats, progress: ProgressReporter) -> None:
        self._prepared = prepared
        self._stats = stats
        self._progress = progress
        self._webhook: Webhook | None = None
        self._notifier = Notifier(
            prepared.facts.run_id, prepared.output.uri(), prepared.config.notify, send=self._send
        )
        self._listening = ExitStack()

    def __enter__(self) -> RunAnnouncer:
        """Announce that the run has begun.

        Raises:
            StorageError: the run file cannot be written.
        """
        self._write("running")
        if self._prepared.receiver is not None:
            self._webhook = Webhook(self._prepared.receiver, self._prepared.config.notify)
            self._notifier.started(self._progress.snapshot())
            self._listening.enter_context(self._progress.listening(self._notifier))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give the last events time for delivery."""
        self._close()

    @contextmanager
    def telling_of_faults(self) -> Iterator[None]:
        """Announce an error that is raised in the block.

        Faults of the store, the manifest or the records, usable at first, become a
        `BrokenOffError`.
        """
        try:
            yield
        except Exception as error:
            self._failed(f"{type(error).__name__}: {error}")
            if isinstance(error, StorageError | ManifestError | LedgerError | PackError):
                raise BrokenOffError(str(error)) from error
            raise
        except (KeyboardInterrupt, SystemExit):  # Ray answers a SIGTERM while it starts with these
            self._write_if_possible("interrupted")
            self._notifier.ended(self._progress.snapshot(), interrupted=True)
            raise

    def ended(self, summary: RunSummary) -> int:
        """Announce the end; returns the number of undelivered events, including this one.

        Raises:
            StorageError: the run file cannot be written.
        """
        self._write("interrupted" if summary.interrupted else "completed")
        error = None
        if not (summary.interrupted or summary.within_budget):
            most = self._prepared.config.on_error.max_failed_fraction
            error = (
                f"{summary.failed_fraction:.2%} of the rows failed; "
                f"on_error.max_failed_fraction allows {most:.2%}"
            )
        self._notifier.ended(
            self._progress.snapshot(), interrupted=summary.interrupted, error=error
        )
        return self._close()

    def _failed(self, reason: str) -> None:
        self._write_if_possible("failed", reason)
        self._notifier.failed(self._progress.snapshot(), reason)

    def _write_if_possible(self, state: RunState, reason: str = "") -> None:
        try:
            self._write(state, reason)
        except StorageError as fault:  # it must not hide the reason that ended the run
            logger.warning("run_file_not_written error=%s", fault)

    def _write(self, state: RunState, reason: str = "") -> None:
        self._prepared.run_file.write(state, self._stats, self._progress.total, reason)

    def _send(self, event: Event) -> None:
        if self._webhook is not None:
            self._webhook.send(event)

    def _close(self) -> int:
        self._listening.close()
        webhook, self._webhook = self._webhook, None
        return 0 if webhook is None else webhook.close()
