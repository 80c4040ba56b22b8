"""`uso verify`: checks the records and images of an output against each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path

from rich.progress import Progress, TimeRemainingColumn

from jobs import exits, terminal
from jobs.outputs import hint_at_config
from jobs.problems import print_problems, problems_as_list
from jobs.secret_settings import storage_options
from pipelines.errors import ConfigError
from pipelines.packing.shard import LAYOUTS
from pipelines.storage.filesystems import Options
from pipelines.storage.storage import Storage
from pipelines.tools.problems import findings
from pipelines.tools.verification.counts import VerifyCounts
from pipelines.tools.verification.image_checks import IMAGE_CHECKS
from pipelines.tools.verification.shards import check_dataset, is_dataset
from pipelines.tools.verification.signature_check import SignatureCheck
from pipelines.tools.verification.verify import OutputVerifier, Show


@dataclass(frozen=True, slots=True)
class VerifyCommand:
    """The arguments of `uso verify`.

    Attributes:
        output: the folder or URL of the output.
        problems: the Parquet file for all problems; None: the problems are only counted.
        trust: the PEM file of the root certificates that signed images must lead to, or None.
        config_path: the YAML file with storage options, or None.
        as_json: print one JSON document instead of text.
    """

    output: str
    problems: str | None
    trust: str | None
    config_path: Path | None
    as_json: bool


def verify_command(command: VerifyCommand) -> int:
    """Check an output, print its problems, and return the exit code. Changes nothing in it."""
    with exits.exit_on_error(), hint_at_config(command.config_path):
        options = storage_options(command.config_path)
        output = Storage.at(command.output, options, create=False)
        has_records, datasets = output.exists("records"), _datasets(command, output, options)
        if not (has_records or datasets):
            raise ConfigError(f"{output.uri()}: no records and no shards; check the path")
        anchors = _anchors(command.trust)
        signatures, packed = SignatureCheck(anchors), SignatureCheck(anchors)
        checks = (*IMAGE_CHECKS, signatures)
        with (
            findings(command.problems, options) as found,
            terminal.progress_bars(TimeRemainingColumn()) as progress,
        ):
            show = _shown_on(progress)
            counts = VerifyCounts()
            if has_records:
                counts = OutputVerifier(output, checks, found, show).verify()
            for dataset in datasets:
                check_dataset(
                    dataset, packed, found, counts,
                    lambda done: show("reading the shards", done, None),
                )  # fmt: skip
    code = exits.DIFFERS if found.errors else exits.DONE
    if command.as_json:
        facts = {"output": output.uri(), **asdict(counts), "errors": found.errors}
        for name, each in (("signatures", signatures), ("shard_signatures", packed)):
            facts[name] = {"valid": each.valid, "trusted": each.trusted}
        terminal.print_json({**facts, "problems": problems_as_list(found)})
        return code
    console = terminal.out()
    for label, text in _facts(output, counts, signatures, packed):
        terminal.fact(console, label, text)
    print_problems(found, command.problems, console)
    return code


def _anchors(trust: str | None) -> str | None:
    if trust is None:
        return None
    if find_spec("c2pa") is None:
        raise ConfigError("--trust needs the extra c2pa: pip install 'uso-batch[c2pa]'")
    from pipelines.provenance.certificates import read_anchors  # noqa: PLC0415 (it is an extra)

    return read_anchors(trust)


def _datasets(command: VerifyCommand, output: Storage, options: Options) -> list[Storage]:
    """Return the packed datasets: the folder itself, or the ones that a run packs in its output."""
    if is_dataset(output):
        return [output]
    places = (f"{command.output.rstrip('/')}/{name}" for name in LAYOUTS)
    folders = (Storage.at(place, options, create=False) for place in places)
    return [folder for folder in folders if is_dataset(folder)]


def _facts(
    output: Storage, counts: VerifyCounts, signatures: SignatureCheck, packed: SignatureCheck
) -> Sequence[tuple[str, str]]:
    records = f"{counts.records:,}, {counts.completed:,} of them completed"
    signed = [("signatures", signatures.summary)] if signatures.valid else []
    shards = [("shards", f"{counts.shards:,}, with {counts.shard_images:,} images")]
    shards += [("", f"signatures {packed.summary}")] if packed.valid else []
    return (
        ("output", output.uri()),
        ("records", f"{records}, in {counts.parts:,} files"),
        ("images", f"{counts.images:,}, {counts.image_bytes / 1e6:,.1f} MB read"),
        *signed,
        *(shards if counts.shards else []),
    )


def _shown_on(progress: Progress) -> Show:
    task = progress.add_task("", total=None)

    def show(step: str, done: int, total: int | None) -> None:
        progress.update(task, description=step, completed=done, total=total)

    return show
