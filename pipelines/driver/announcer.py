"""Says in which state a run is: in its run file, and in the events that `notify` asks for."""

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
    """While entered, the run is announced as running; then how it ended."""

    def __init__(self, job: PreparedRun, stats: RunStats, board: ProgressReporter) -> None:
        self._job = job
        self._stats = stats
        self._board = board
        self._webhook: Webhook | None = None
        self._notifier = Notifier(
            job.facts.run_id, job.output.uri(), job.config.notify, send=self._send
        )
        self._listening = ExitStack()

    def __enter__(self) -> RunAnnouncer:
        """Announce that the run has begun.

        Raises:
            StorageError: the run file cannot be written.
        """
        self._write("running")
        if self._job.receiver is not None:
            self._webhook = Webhook(self._job.receiver, self._job.config.notify)
            self._notifier.started(self._board.snapshot())
            self._listening.enter_context(self._board.listening(self._notifier))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give the last events their time."""
        self._close()

    @contextmanager
    def telling_of_faults(self) -> Iterator[None]:
        """Announce what is raised inside; faults of what was usable at first end a run."""
        try:
            yield
        except Exception as error:
            self._failed(f"{type(error).__name__}: {error}")
            if isinstance(error, StorageError | ManifestError | LedgerError | PackError):
                raise BrokenOffError(str(error)) from error
            raise
        except (KeyboardInterrupt, SystemExit):  # Ray answers a SIGTERM while it starts with these
            self._write_if_possible("interrupted")
            self._notifier.ended(self._board.snapshot(), interrupted=True)
            raise

    def ended(self, summary: RunSummary) -> int:
        """Announce the end; returns how many events were not delivered, this one included.

        Raises:
            StorageError: the run file cannot be written.
        """
        self._write("interrupted" if summary.interrupted else "completed")
        error = None
        if not (summary.interrupted or summary.within_budget):
            most = self._job.config.on_error.max_failed_fraction
            error = (
                f"{summary.failed_fraction:.2%} of the rows failed; "
                f"on_error.max_failed_fraction allows {most:.2%}"
            )
        self._notifier.ended(self._board.snapshot(), interrupted=summary.interrupted, error=error)
        return self._close()

    def _failed(self, reason: str) -> None:
        self._write_if_possible("failed", reason)
        self._notifier.failed(self._board.snapshot(), reason)

    def _write_if_possible(self, state: RunState, reason: str = "") -> None:
        try:
            self._write(state, reason)
        except StorageError as fault:  # must not hide why the run ended
            logger.warning("run_file_not_written error=%s", fault)

    def _write(self, state: RunState, reason: str = "") -> None:
        self._job.run_file.write(state, self._stats, self._board.total, reason)

    def _send(self, event: Event) -> None:
        if self._webhook is not None:
            self._webhook.send(event)

    def _close(self) -> int:
        self._listening.close()
        webhook, self._webhook = self._webhook, None
        return 0 if webhook is None else webhook.close()
