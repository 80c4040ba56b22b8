"""Draws a sample of a run's rows again at its end, with the run's own workers."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from pipelines.dispatch.shared_pool import SharedPool
from pipelines.dispatch.tasks import DispatchPolicy
from pipelines.driver.prepare import PreparedRun
from pipelines.driver.signals import StopRequest
from pipelines.handling import Destination, Handling
from pipelines.ledger.records import Records
from pipelines.replay.chosen import Choice, choose
from pipelines.replay.drawing import Drawing
from pipelines.replay.inline import find_inline
from pipelines.replay.judge import Judge
from pipelines.replay.recorded_row import RecordedRows
from pipelines.replay.verdict import ReplayCounts
from pipelines.storage.storage import Storage
from pipelines.storage.urls import is_uri
from pipelines.telemetry.progress import ProgressReporter

FOLDER = "replay"
"""Folder of an output for images that are drawn again; they are removed once they are compared."""
_README = b"Images that a run has drawn again to compare them. The next run removes this folder.\n"


def replay_sample(
    prepared: PreparedRun,
    pool: SharedPool,
    policy: DispatchPolicy,
    progress: ProgressReporter,
    stop: StopRequest,
) -> ReplayCounts:
    """Draw `on_end.replay_sample` of the rows that this run has completed again.

    Call it once their records are committed. A stop request ends it early.

    Raises:
        WorkersFailedError, LedgerError, StorageError: the sample cannot be drawn or compared.
    """
    config, run_id = prepared.config, prepared.facts.run_id
    counts = ReplayCounts()
    records = Records(prepared.output)
    choice = Choice(sample=config.on_end.replay_sample, seed=config.stylize.seed, run_id=run_id)
    chosen = choose(records, choice)
    with _folder(prepared) as (drawn, handling):
        drawing = Drawing(
            RecordedRows(config, prepared.card.fingerprint, prepared.card.limits),
            Judge(
                prepared.output,
                drawn,
                config.model.preset,
                None,
                (),
                batched=config.stylize.batch_images > 1,
            ),
            partial(find_inline, config, prepared.card),
            handling,
            lambda: stop.requested or pool.head_lost,
        )
        pool.begin()
        wanted = chosen.records(records, frozenset(chosen.runs))
        progress.show("drawing a sample again")
        for verdict in drawing.verdicts(wanted, pool, policy):
            counts.add(verdict)
            progress.show("drawing a sample again")
    return counts


@contextmanager
def _folder(prepared: PreparedRun) -> Iterator[tuple[Storage, Handling]]:
    """Yield a folder in the output, and the handling of rows whose images go there."""
    spec, output = prepared.spec, prepared.output
    assert spec.output is not None
    path = f"{spec.output.path.rstrip('/')}/{FOLDER}"
    destination = Destination(
        path=path,
        run_id=None,
        give_up_after_s=spec.output.give_up_after_s,
        encoding=spec.encoding,
        recipe_model=spec.recipe_model,
    )
    _remove(output, path)  # of a run that was killed
    try:
        folder = Storage.at(path, spec.storage, patience_s=spec.output.give_up_after_s)
        folder.write("README.txt", _README)  # workers do not make the folder
        yield folder, Handling(destination=destination)
    finally:
        _remove(output, path)


def _remove(output: Storage, path: str) -> None:
    for each in output.list(FOLDER):
        output.delete(each)
    if not is_uri(path):
        shutil.rmtree(path, ignore_errors=True)
