"""Draws chosen rows of an output again, with workers of its own."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeAlias

from pipelines.config.provenance import ProvenanceConfig
from pipelines.config.schema import RunConfig
from pipelines.dispatch.shared_pool import SharedPool
from pipelines.dispatch.tasks import DispatchPolicy
from pipelines.dispatch.workers import WatchedPool
from pipelines.errors import ConfigError
from pipelines.ledger.records import Records
from pipelines.replay.chosen import ChosenRecords
from pipelines.replay.differences import Circumstances, Difference
from pipelines.replay.drawing import Drawing
from pipelines.replay.inline import find_inline
from pipelines.replay.judge import Judge
from pipelines.replay.recorded_row import RecordedRows
from pipelines.replay.stored_run import StoredRun, StoredRuns
from pipelines.replay.verdict import Verdict
from pipelines.storage.storage import Storage
from pipelines.worker.sparse_copy import sparse_copy
from pipelines.worker.spec import StylizerSpec
from uso_core.families import family_of
from uso_core.loading.source import ModelCard
from uso_core.protocol import Arithmetic

MakePool: TypeAlias = Callable[[StylizerSpec, RunConfig], AbstractContextManager[WatchedPool]]
"""Makes the workers for a specification; they end with the block."""


@dataclass(slots=True)
class _Group:
    """Runs that share their settings, and so a model."""

    config: RunConfig
    runs: dict[str, StoredRun | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Replay:
    """Draws rows of one output again.

    Attributes:
        output: the output.
        records: its records.
        chosen: the records to draw.
        make_pool: makes the workers.
        config: the configuration to draw with; None: that of the run which recorded a row.
        overrides: values that replace those of a stored configuration, each as `a.b=c`.
        show: called with the current step.
    """

    output: Storage
    records: Records
    chosen: ChosenRecords
    make_pool: MakePool
    config: RunConfig | None = None
    overrides: tuple[str, ...] = ()
    show: Callable[[str], None] = lambda _step: None

    def verdicts(self) -> Iterator[Verdict]:
        """Yield a verdict for each chosen record, in any order.

        One model is loaded at a time, once for all runs with the same settings.

        Raises:
            ConfigError: a configuration cannot be used.
            CheckpointError: the model cannot be loaded.
            WorkersFailedError: the workers do not start.
            LedgerError, StorageError: records or images cannot be read.
        """
        stored = StoredRuns(self.output)
        groups: dict[str, _Group] = {}
        for run_id in sorted(self.chosen.runs):
            run = stored.find(run_id)
            config = self._config(run)
            if config is None:
                yield from self._without_run(run_id)
                continue
            of_drawing = config.model_dump(exclude={"manifest", "defaults"})
            key = json.dumps(of_drawing, default=str, sort_keys=True)
            groups.setdefault(key, _Group(config)).runs[run_id] = run
        for group in groups.values():
            yield from self._drawn(group)

    def _config(self, run: StoredRun | None) -> RunConfig | None:
        if self.config is None:
            return None if run is None else run.settings(self.overrides)
        # These decide about no image, and may need weights.
        return self.config.model_copy(update={"scores": {}, "best_of": None})

    def _without_run(self, run_id: str) -> Iterator[Verdict]:
        message = (
            f"run/{run_id}.json is gone or damaged, so nothing tells the configuration; give it "
            "with --config"
        )
        lost = Difference("record", "run", message)
        for record in self.chosen.records(self.records, frozenset({run_id})):
            yield Verdict(record["id"], "different", [lost])

    def _drawn(self, group: _Group) -> Iterator[Verdict]:
        with tempfile.TemporaryDirectory(prefix="uso-replay-") as folder:
            # Signatures are random, so files are compared as they are before they are signed.
            changed = {"path": folder, "provenance": ProvenanceConfig()}
            where = group.config.output.model_copy(update=changed)
            config = group.config.model_copy(update={"output": where})
            spec, card, dimensions = _prepared(config)
            self.show(f"loading {card.name}")
            policy = DispatchPolicy.from_config(config.stylize, dimensions.encoding)
            with self.make_pool(spec, config) as pool:
                shared = SharedPool(pool)
                for run_id, run in group.runs.items():
                    shared.begin()
                    drawing = self._drawing(config, card, run, Storage.at(folder))
                    records = self.chosen.records(self.records, frozenset({run_id}))
                    yield from drawing.verdicts(records, shared, policy)

    def _drawing(
        self, config: RunConfig, card: ModelCard, run: StoredRun | None, folder: Storage
    ) -> Drawing:
        now = Circumstances.of(config, card)
        recorded, model = config, card.fingerprint
        differences: list[Difference] = []
        if run is not None:
            recorded, model = run.settings(), run.model
            then = replace(Circumstances.of(recorded, card), model=run.model, name=run.model_name)
            differences = [*then.differences(now)]
        return Drawing(
            RecordedRows(recorded, model, card.limits),
            Judge(
                self.output,
                folder,
                config.model.preset,
                run,
                differences,
                batched=config.stylize.batch_images > 1 or recorded.stylize.batch_images > 1,
            ),
            partial(find_inline, config, card),
        )


def _prepared(config: RunConfig) -> tuple[StylizerSpec, ModelCard, Arithmetic]:
    try:
        spec = StylizerSpec.from_config(config)
        source = sparse_copy(config.model, spec.storage)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    family = family_of(source)
    card, dimensions = family.describe(source), family.dimensions(source)
    recipe_model = card.name if config.output.recipe else None
    return replace(spec, recipe_model=recipe_model), card, dimensions
