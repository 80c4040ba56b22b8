"""An output with its manifest and configuration, and the drivers that work on it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import s3fs

from benchmarks.chaos.check import Findings, check_output
from benchmarks.chaos.cluster import Nodes
from benchmarks.chaos.inputs import Inputs
from benchmarks.chaos.runs import Run, actors_among, descendants
from tests.conditional_s3 import BUCKET
from tests.integration.harness import (
    count_parts,
    manifest_rows,
    run_config,
    write_config,
    write_manifest,
    write_references,
)

ROWS = 80
START_S = 120.0
END_S = 120.0
_POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class Result:
    """The result of one round.

    Attributes:
        kind: paused or vanishing.
        what: the variant.
        runs: number of drivers.
        lost: number of rows without a record.
        doubled: number of rows with several records.
        wrong: number of images that are missing or differ from their record.
        violations: descriptions of everything that was promised otherwise.
    """

    kind: str
    what: str
    runs: int
    lost: int
    doubled: int
    wrong: int
    violations: tuple[str, ...]


@dataclass(slots=True)
class Place:
    """One output, empty at first.

    Attributes:
        folder: holds the inputs and logs, and the output if it is local.
        output: its URL or path.
        options: the `storage:` settings; empty for a local output.
    """

    folder: Path
    output: str
    options: Mapping[str, Mapping[str, Any]]
    cluster: Nodes
    inputs: Inputs
    runs: list[Run] = field(default_factory=list)

    @classmethod
    def new(cls, folder: Path, cluster: Nodes, options: Mapping[str, Mapping[str, Any]]) -> Place:
        """Write the inputs; the output is on S3 if there are options for it, else in `folder`."""
        references = [str(folder / name) for name in write_references(folder, 3)]
        rows = manifest_rows(ROWS, references)
        manifest = write_manifest(folder / "manifest.parquet", rows)
        output = f"s3://{BUCKET}/{folder.name}" if options else str(folder / "out")
        sections = {"storage": dict(options)} if options else {}
        config = run_config(str(manifest), output, **sections)
        config["output"]["commit_seconds"] = 0.2
        config["stylize"]["actors"] = 1
        write_config(folder / "run.yaml", config)
        inputs = Inputs(str(manifest), BUCKET, tuple(row["id"] for row in rows), {})
        return cls(folder, output, options, cluster, inputs)

    def start(self, *arguments: str) -> Run:
        """Start a driver, whose lease is stale after seconds, on the output."""
        log = self.folder / f"run-{len(self.runs)}.log"
        address = ("--set", f"ray.address={self.cluster.address}")
        config = str(self.folder / "run.yaml")
        run = Run.start(
            [config, *address, *arguments], {}, log, module="benchmarks.chaos.short_lease"
        )
        self.runs.append(run)
        return run

    def parts(self) -> int:
        """Return the number of parts of records."""
        return count_parts(self.output, dict(self.options.get("s3", {})))

    def wait_for_parts(self, run: Run, more_than: int) -> bool:
        """Wait until there are more parts; return False if the driver ends before."""
        give_up_at = time.monotonic() + START_S
        while self.parts() <= more_than and run.alive:
            assert time.monotonic() < give_up_at, run.printed
            time.sleep(_POLL_S)
        return run.alive

    def actors(self) -> list[psutil.Process]:
        """Return the actors of all drivers."""
        return actors_among(descendants(self.cluster.raylets), busy=False)

    def result(self, kind: str, what: str, violations: list[str]) -> Result:
        """Check the output, and end what still runs."""
        for run in self.runs:
            if run.alive:
                violations.append(f"{run.log.name} does not end: {run.printed}")
                run.process.kill()
        found = self._check()
        return Result(
            kind=kind,
            what=what,
            runs=len(self.runs),
            lost=len(found.lost),
            doubled=len(found.duplicated),
            wrong=len(found.unreadable),
            violations=(*violations, *found.violations),
        )

    def _check(self) -> Findings:
        if not self.options:
            return check_output(self.folder, self.output, self.inputs, {})
        below = self.folder / "copy"
        path = self.output.removeprefix("s3://")
        s3fs.S3FileSystem(**self.options["s3"]).get(path, str(below / path), recursive=True)
        return check_output(below, self.output, self.inputs, {})
