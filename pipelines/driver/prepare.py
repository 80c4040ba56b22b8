"""Read and check everything that a run needs, before any model is loaded."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timezone

import pyarrow as pa

from pipelines.calibration.measurements import Settings
from pipelines.calibration.stopwatch import Stopwatch
from pipelines.checks.names import check_names
from pipelines.config.schema import RunConfig
from pipelines.config.source import ConfigSource
from pipelines.config.variables import resolve_secrets, resolve_variables
from pipelines.dispatch.workers import WorkerEnv
from pipelines.driver.run_file import RunFile, first_day
from pipelines.errors import BrokenOffError, ConfigError, LeaseLostError, RunError
from pipelines.ledger.lease import Lease
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.score_facts import check_score_facts, read_score_facts, save_score_facts
from pipelines.manifest.manifest import Manifest
from pipelines.name_template import PICTURES
from pipelines.provenance.claim import ModelFacts
from pipelines.record import TRIES, RunFacts, record_schema, tries_column
from pipelines.storage.filesystems import Options
from pipelines.storage.storage import Storage
from pipelines.telemetry.progress import ProgressReporter
from pipelines.telemetry.webhook import Receiver
from pipelines.worker.plugin_chain import plugin_columns
from pipelines.worker.scores.registry import chosen_scorers
from pipelines.worker.sparse_copy import sparse_copy
from pipelines.worker.spec import StylizerSpec
from uso_core.families import family_of
from uso_core.loading.source import ModelCard, ModelSource
from uso_core.protocol import Arithmetic


@dataclass(frozen=True, slots=True)
class PreparedRun:
    """A run that is ready to start.

    Attributes:
        card: facts about the model.
        dimensions: size of the model and cost of its encoders.
        stopwatch: measures settled rows.
        worker_env: environment variables of the actors.
        receiver: the web server that gets the run's events; None: no events are sent.
    """

    config: RunConfig
    facts: RunFacts
    manifest: Manifest
    output: Storage
    ledger: Ledger
    lease: Lease
    run_file: RunFile
    spec: StylizerSpec
    card: ModelCard
    dimensions: Arithmetic
    stopwatch: Stopwatch
    worker_env: WorkerEnv
    receiver: Receiver | None

    def check_lease(self) -> None:
        """Check that the lease was held at the last heartbeat; reads nothing.

        Raises:
            LeaseLostError: it was not.
            BrokenOffError: the output folder was removed, emptied or unmounted.
        """
        if self.lease.lost:
            raise self._lost()

    def confirm_lease(self) -> None:
        """Read the lease and check that this driver holds it.

        Raises:
            LeaseLostError: the lease is gone or another driver's.
            BrokenOffError: the output folder was removed, emptied or unmounted.
            StorageError: the lease cannot be read.
        """
        if not self.lease.confirm():
            raise self._lost()

    def confirm_records(self) -> None:
        """Check that this driver holds the lease, and that all committed records are stored.

        Raises:
            LeaseLostError, BrokenOffError, StorageError: see `confirm_lease`.
            LedgerError: the store has lost records; see `Ledger.verify`.
        """
        self.confirm_lease()
        self.ledger.verify()

    def check_names(self, progress: ProgressReporter) -> None:
        """Check the names of `output.name`, if it is set, or was in an earlier run.

        Raises:
            ConfigError: two rows share a name, or a recorded image has another one.
            LedgerError, ManifestError, StorageError: see `pipelines.checks.names.check_names`.
        """
        output = self.config.output
        if output.name is None and not self.output.exists(PICTURES):
            return
        progress.show("checking the names of the images")
        records = self.ledger.opening_records()
        check_names(self.manifest, output.encoding.extension, records)

    def _lost(self) -> RunError:
        if not (self.lease.is_taken or self.run_file.exists):
            return BrokenOffError(
                f"{self.output.uri('')}: the output folder no longer holds the files of this run: "
                "it was removed, emptied or unmounted; nothing more was written. Bring it back and "
                "rerun the same command: it generates the rows without a record"
            )
        return LeaseLostError.of(self.output.uri())


@contextmanager
def prepare(config: RunConfig, source: ConfigSource | None = None) -> Iterator[PreparedRun]:
    """Check the model's files, the manifest and the output; hold the lease of the output.

    Args:
        config: the configuration.
        source: its place, for the run file; None: unknown.

    Raises:
        ConfigError: the configuration names an environment variable that is not set, a plug-in
            computes a column that the records already have, or a score has another meaning in the
            output.
        CheckpointError: a file of the model is missing.
        ManifestError: the manifest cannot be used.
        StorageError: the output cannot be written.
        LeaseHeldError: another driver works on this output.
        LedgerError: the output's records cannot be read.
    """
    outside = _Outside.of(config)
    model = sparse_copy(config.model, outside.options)
    family = family_of(model)
    model = family.pin(model)
    config = _with_revisions(config, model)
    card, dimensions = family.describe(model), family.dimensions(model)
    output = _output(config, outside.options)
    begun = None if config.output.name is None else first_day(output)
    manifest = Manifest.open(config, card, begun=begun)
    facts = RunFacts(
        run_id=_new_run_id(),
        model=card.name,
        preset=config.model.preset,
        model_licence=card.licence,
    )
    spec = _spec(config, facts, card, card.licence or family.about.licence)
    scores = [scorer.facts() for scorer in chosen_scorers(config.scores)]
    schema = _record_schema(config, manifest, spec, [each.name for each in scores])
    output.check_writable()
    check_score_facts(read_score_facts(output), scores)
    with Lease(output, facts.run_id) as lease:
        save_score_facts(output, scores)
        yield PreparedRun(
            config=config,
            facts=facts,
            manifest=manifest,
            output=output,
            ledger=Ledger.open(
                output,
                schema,
                facts.run_id,
                taken_from=lease.taken_from,
                editions=manifest.editions,
                retry_failed=config.on_error.retry_failed,
            ),
            lease=lease,
            run_file=RunFile(output, facts.run_id, config, card, source),
            spec=replace(spec, creates=output.creates),
            card=card,
            dimensions=dimensions,
            stopwatch=Stopwatch(
                Settings.of(dimensions, config.model, config.stylize.batch_images),
                card.limits,
            ),
            worker_env=outside.worker_env,
            receiver=outside.receiver,
        )


@dataclass(frozen=True, slots=True)
class _Outside:
    """The parts of a run that depend on variables of the environment.

    Attributes:
        options: the storage options, with secrets resolved.
        worker_env, receiver: see `PreparedRun`.
    """

    options: Options
    worker_env: WorkerEnv
    receiver: Receiver | None

    @classmethod
    def of(cls, config: RunConfig) -> _Outside:
        try:
            options = resolve_secrets(config.storage)
            config.fetch.http.resolved()
            return cls(options, _worker_env(config.ray.env), Receiver.from_config(config.notify))
        except ValueError as error:
            raise ConfigError(str(error)) from error


def _spec(config: RunConfig, facts: RunFacts, card: ModelCard, licence: str) -> StylizerSpec:
    return replace(
        StylizerSpec.from_config(config),
        run_id=facts.run_id,
        recipe_model=facts.model if config.output.recipe else None,
        model_facts=ModelFacts(facts.model, licence, card.fingerprint, facts.preset),
    )


def _record_schema(
    config: RunConfig, manifest: Manifest, spec: StylizerSpec, scores: Sequence[str]
) -> pa.Schema:
    """Return the schema of the records; `scores` are the names of the run's scores."""
    extra = manifest.extra_schema
    columns = plugin_columns(spec.image_plugins, extra)
    if config.best_of is None:
        return record_schema(extra, columns)
    if TRIES in extra.names:
        raise ConfigError(
            f"the manifest's column {TRIES!r} is also a column of best_of; rename it, or leave it "
            "out with manifest.keep_columns"
        )
    return record_schema(extra, columns.append(tries_column(scores)))


def _output(config: RunConfig, options: Options) -> Storage:
    if config.output.path.lower().startswith("memory:"):
        raise ConfigError(
            "output.path: memory:// is lost when its process ends, and each actor has its own; "
            "give a local folder or a folder in a store"
        )
    return Storage.at(config.output.path, options, patience_s=config.output.give_up_after_s)


def _worker_env(env: Mapping[str, str]) -> WorkerEnv:
    """Split the variables: a value taken from the environment is a secret."""
    resolved = resolve_variables(env, "ray.env")
    secret = {name: value for name, value in resolved.items() if value != env[name]}
    plain = {name: value for name, value in resolved.items() if name not in secret}
    return WorkerEnv(plain, secret)


def _with_revisions(config: RunConfig, source: ModelSource) -> RunConfig:
    """Pin the revisions, so that a branch that moves during the run changes nothing."""
    names = [f"{name}_revision" for name in ModelSource.WEIGHTS]
    revisions = {name: getattr(source, name) for name in names}
    return config.model_copy(update={"model": config.model.model_copy(update=revisions)})


def _new_run_id() -> str:
    """Make a run id that sorts by time and is unique among drivers of the same second."""
    now = datetime.now(timezone.utc)
    return f"{now:%Y%m%dT%H%M%S}-{secrets.token_hex(3)}-{os.getpid()}"
