"""The part of `uso validate` that fetches: here or on a cluster, with progress, and resumable."""

from __future__ import annotations

import tempfile
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.progress import Progress

from jobs import terminal
from jobs.ray_on_demand import ray_on_demand
from pipelines.config.schema import RunConfig
from pipelines.config.variables import resolve_variables
from pipelines.errors import ConfigError
from pipelines.manifest.manifest import Manifest
from pipelines.storage.new_file import file_storage
from pipelines.storage.storage import Storage
from pipelines.tools.problems import Findings
from pipelines.tools.validation.check import Checks, CheckSpec, Placed, check_here
from pipelines.tools.validation.checked import Checked, CheckedParts
from pipelines.tools.validation.conclude import Facts
from pipelines.tools.validation.references import check_references
from pipelines.tools.validation.tasks import TaskSettings, check_some, in_tasks, lost_in_task
from pipelines.tools.validation.uses import AllReferences, SampledReferences, Wanted

_EVERY_S = 30.0


@dataclass(frozen=True, slots=True)
class FetchOptions:
    """Options of the command about references.

    Attributes:
        fetch: `all`, or the number of different references to fetch; None: no reference.
        problems: the Parquet file for all problems; None: the problems are only counted.
        on_cluster: fetch in tasks of the Ray cluster of the configuration.
    """

    fetch: str | None = None
    problems: str | None = None
    on_cluster: bool = False


@dataclass(frozen=True, slots=True)
class Fetched:
    """The references that were checked.

    Attributes:
        references: their number.
        recorded: the number of good ones that an interrupted check had found.
        facts: facts about the images.
    """

    references: int = 0
    recorded: int = 0
    facts: Facts = field(default_factory=Facts)


@contextmanager
def parts_of(options: FetchOptions, spec: CheckSpec) -> Iterator[CheckedParts]:
    """Yield the results so far; if the block raises nothing, they are deleted.

    They are beside the file for the problems, so that the same command resumes an interrupted
    check; without such a file, they are in a temporary folder.

    Raises:
        StorageError: the folder cannot be used.
    """
    if options.problems is None:
        with tempfile.TemporaryDirectory(prefix="uso-checked-") as folder:
            yield CheckedParts(Storage.at(folder), "checked", spec.context)
        return
    storage, name = file_storage(options.problems, spec.options)
    parts = CheckedParts(storage, f"{name}.checked", spec.context)
    try:
        yield parts
    except KeyboardInterrupt:
        folder = f"{name}.checked"
        if any(storage.list(folder)):
            kept = terminal.one_line(storage.uri(folder))
            said = f"Interrupted. The results so far are in {kept}. Run the same command to resume."
            terminal.err().print(said, soft_wrap=True)
        raise
    parts.remove()


@contextmanager
def checks_of(options: FetchOptions, config: RunConfig) -> Iterator[Checks]:
    """Yield the way to check references: in this process, or in tasks of the Ray cluster.

    Raises:
        ConfigError: the configuration does without Ray, or a variable of `ray.env` is not set.
    """
    if not options.on_cluster:
        yield check_here
        return
    if config.ray.is_off:
        raise ConfigError(
            "ray.address: none does without Ray, and --cluster needs it; give another"
        )
    try:
        env = resolve_variables(config.ray.env, "ray.env")
    except ValueError as error:
        raise ConfigError(str(error)) from error
    # Imported here, because Ray takes a second.
    from pipelines.on_ray.spread import Work, spread  # noqa: PLC0415

    with ray_on_demand(config.ray) as join:

        def checks(
            uses: Iterator[Placed], spec: CheckSpec
        ) -> Generator[Sequence[Checked], None, None]:
            work = Work(check_some, TaskSettings(spec, env), lost_in_task)
            return spread(work, in_tasks(uses), join)

        yield checks


@dataclass(frozen=True, slots=True)
class ReferenceFetch:
    """The check of the references of a manifest.

    Attributes:
        manifest: the manifest.
        fetch: `all`, or the number of different references.
        spec: the settings.
        checks: the way to check them.
        parts: the results so far.
    """

    manifest: Manifest
    fetch: str
    spec: CheckSpec
    checks: Checks
    parts: CheckedParts

    def run(self, found: Findings, progress: Progress, total: int) -> Fetched:
        """Check the references.

        Args:
            found: gets the problems.
            progress: gets a bar.
            total: the number of different references of the manifest.

        Raises:
            ManifestError: a file has changed or is damaged.
            StorageError: the results cannot be written.
            ClusterError: the cluster is lost.
        """
        wanted: Wanted = AllReferences(self.manifest)
        if self.fetch != "all":
            wanted = SampledReferences(self.manifest, int(self.fetch))
            total = min(total, int(self.fetch))
        bar = _Bar(progress, total)
        conclusion = check_references(wanted, self.checks, self.spec, self.parts, bar.advance)
        for problem in conclusion.problems(wanted.rows):
            found.add(problem)
        return Fetched(bar.done, self.parts.num_recorded, conclusion.facts)


class _Bar:
    """Shows the number of checked references: a bar, or lines in the log of a job."""

    def __init__(self, progress: Progress, total: int) -> None:
        self.done = 0
        self._progress = progress
        self._task = progress.add_task("references", total=total)
        self._total = total
        self._pace = terminal.Pace(_EVERY_S)
        self._pace.due()

    def advance(self, number: int) -> None:
        self.done += number
        self._progress.advance(self._task, number)
        if not self._progress.console.is_terminal and self._pace.due():
            self._progress.console.print(f"references: {self.done:,} of {self._total:,}")
