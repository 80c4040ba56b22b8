"""A progress bar for a run that Python code starts: in a terminal and in a notebook."""

from __future__ import annotations

from types import TracebackType

from tqdm.auto import tqdm

from pipelines.telemetry.snapshot import Snapshot


class ProgressBar:
    """A listener that shows the rows done, the failed ones and the cause of a wait.

    The bar is on stderr, or below the cell of a notebook.
    """

    def __init__(self) -> None:
        self._bar = tqdm(unit="row", dynamic_ncols=True)

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.close()

    def update(self, snapshot: Snapshot) -> None:
        """Show a snapshot."""
        bar = self._bar
        bar.total = snapshot.total
        bar.initial = snapshot.skipped  # the rate is about the rows of this run
        bar.n = snapshot.rows_done
        facts = [f"{snapshot.failed} failed"]
        if snapshot.waiting_for:
            facts.append(snapshot.waiting_for)
        bar.set_postfix_str(", ".join(facts), refresh=False)
        bar.refresh()
