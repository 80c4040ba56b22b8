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
from pipelines.storage.storage import Storage
from pipelines.tools.problems import findings
from pipelines.tools.verification.image_checks import IMAGE_CHECKS
from pipelines.tools.verification.signature_check import SignatureCheck
from pipelines.tools.verification.verify import OutputVerifier, Show, VerifyCounts


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
        if not output.exists("records"):
            raise ConfigError(f"{output.uri()}: no records; check the path")
        signatures = SignatureCheck(_anchors(command.trust))
        checks = (*IMAGE_CHECKS, signatures)
        with (
            findings(command.problems, options) as found,
            terminal.progress_bars(TimeRemainingColumn()) as progress,
        ):
            counts = OutputVerifier(output, checks, found, _shown_on(progress)).verify()
    code = exits.DIFFERS if found.errors else exits.DONE
    if command.as_json:
        facts = {"output": output.uri(), **asdict(counts), "errors": found.errors}
        facts["signatures"] = {"valid": signatures.valid, "trusted": signatures.trusted}
        terminal.print_json({**facts, "problems": problems_as_list(found)})
        return code
    console = terminal.out()
    for label, text in _facts(output, counts, signatures):
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


def _facts(
    output: Storage, counts: VerifyCounts, signatures: SignatureCheck
) -> Sequence[tuple[str, str]]:
    records = f"{counts.records:,}, {counts.completed:,} of them completed"
    signed = [("signatures", signatures.summary)] if signatures.valid else []
    return (
        ("output", output.uri()),
        ("records", f"{records}, in {counts.parts:,} files"),
        ("images", f"{counts.images:,}, {counts.image_bytes / 1e6:,.1f} MB read"),
        *signed,
    )


def _shown_on(progress: Progress) -> Show:
    task = progress.add_task("", total=None)

    def show(step: str, done: int, total: int | None) -> None:
        progress.update(task, description=step, completed=done, total=total)

    return show
