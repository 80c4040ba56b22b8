"""`uso stylize`: draws a folder of photographs in a folder of styles, as a run with a report."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import yaml
from rich.console import Console

from jobs import exits, terminal
from jobs.plan import plan_run
from jobs.report_commands import report_commands
from jobs.run import run_config
from jobs.secret_settings import storage_options, stores_in
from jobs.stylize_setup import (
    Choice,
    by_option,
    checked,
    choose_model,
    choose_workers,
    defaults_of,
    is_small,
    name_template,
)
from jobs.summary import as_dict, exit_code, print_summary
from pipelines.config.schema import RunConfig
from pipelines.config.source import ConfigSource
from pipelines.errors import ComposeError, ConfigError, ManifestError, ReportError
from pipelines.name_template import PICTURES
from pipelines.storage.filesystems import Options
from pipelines.storage.storage import Storage
from pipelines.storage.urls import is_uri, redact_uri
from pipelines.tools.compose.images import FoundImages, find_images, heic_hint
from pipelines.tools.compose.mirrored import mirrored
from pipelines.tools.compose.pairing import Rows
from pipelines.tools.compose.write import write_manifest
from pipelines.tools.report.pictures import Places
from pipelines.tools.report.report import FOLDER, ReportFacts, ReportOptions, write_report
from uso_core.local_path import local_path

if TYPE_CHECKING:
    from jobs.cli_stylize import Drawing, Naming
    from pipelines.driver.summary import RunSummary

_FOLDER = "stylize"
_CONFIG = f"{_FOLDER}/run.yaml"
_HEAD = "# Written by uso stylize. uso validate, plan, run and manifest --failed take it, too.\n"


@dataclass(frozen=True, slots=True)
class StylizeCommand:
    """The arguments of `uso stylize`.

    Attributes:
        photos: files, folders, globs and URLs of photographs.
        styles: the same of styles.
        out: the folder or URL of the output.
        drawing: the options for the images.
        naming: the options for the files.
        model: the options for the model; `base` is None if it was not named.
        limit: the number of images; None: all.
        workers: the number of worker processes; None: chosen here.
        retry_failed: try all failed rows again.
        config: the YAML file with the storage options; None: there are no options.
        as_json: print one JSON object instead of text.
    """

    photos: Sequence[str]
    styles: Sequence[str]
    out: str
    drawing: Drawing
    naming: Naming
    model: Mapping[str, Any]
    limit: int | None
    workers: int | None
    retry_failed: bool
    config: Path | None
    as_json: bool


def stylize_command(command: StylizeCommand, *, dry_run: bool = False) -> int:
    """Draw, write the report, and return the exit code. Safe to interrupt and to run again."""
    console = terminal.err() if command.as_json else terminal.out()
    with exits.exit_on_error(show=lambda message: exits.print_error(by_option(message))):
        options = storage_options(command.config)
        photos, styles = _found(command, options)
        model = choose_model(command.model)
        workers = choose_workers(model.config["model"], command.workers)
        out = command.out if is_uri(command.out) else str(local_path(command.out).absolute())
        sections = _sections(command, out, [model, workers])
        rows = mirrored(photos, styles, command.drawing.prompt or ())
        with _manifest(rows) as (path, name):
            sections["manifest"]["path"] = path if dry_run else f"{out.rstrip('/')}/{name}"
            config = checked(sections)
            _fact(console, "photos", f"{len(photos.uris):,}{_left_out(photos)}")
            if styles.uris:
                _fact(console, "styles", f"{len(styles.uris):,}{_left_out(styles)}")
            first = "" if command.limit is None else f", the first {command.limit:,} of them now"
            _fact(console, "images", f"{rows.count:,}{first}, named {config.output.name}")
            _fact(console, "model", f"{redact_uri(config.model.base)}: {model.why}")
            _fact(console, "workers", workers.why)
            if dry_run:
                return plan_run(config, price_per_gpu_hour=None, as_json=command.as_json)
            output = Storage.at(out, options)
            if not output.exists(name):
                output.write_from(name, Path(path))
    # Not before: the configuration of a run that is refused must not replace that of the last one.
    summary = run_config(
        config,
        on_begin=lambda: _store_config(output, sections),
        source=ConfigSource.of(output.uri(_CONFIG)),
        show=lambda message: exits.print_error(by_option(message)),
    )
    with exits.exit_on_error():
        report = None if summary.interrupted else _report(command, config, options)
    _print_end(command, summary, report, console)
    return exit_code(summary)


def _print_end(
    command: StylizeCommand, summary: RunSummary, report: ReportFacts | None, console: Console
) -> None:
    pictures = f"{summary.output_uri}/{PICTURES}"
    index = None if report is None else report.index_uri
    if command.as_json:
        ends = {"pictures_uri": pictures, "report_uri": index}
        terminal.print_json({**as_dict(summary), **ends})
        return
    options = () if command.config is None else ("--config", str(command.config))
    config, is_here = f"{summary.output_uri}/{_CONFIG}", not is_uri(command.out)
    print_summary(summary, 0, console, options, config if is_here else PurePosixPath(_CONFIG).name)
    if not is_here:
        _fact(console, "config", f"{config}: download it for uso validate, plan, run and prune")
    _fact(console, "pictures", pictures)
    if index is not None:
        _fact(console, "report", index)


def _found(command: StylizeCommand, options: Options) -> tuple[FoundImages, FoundImages]:
    if not command.styles and not command.drawing.prompt:
        raise ConfigError("give --style, or --prompt, or both: there is nothing to draw otherwise")
    for places, option in ((command.photos, "PHOTOS"), (command.styles, "--style")):
        for place in places:
            _refuse_output_in(place, command.out, option)
    with _named("PHOTOS"):
        photos = find_images(list(map(_given, command.photos)), options)
    with _named("--style"):
        styles = find_images(list(map(_given, command.styles)), options)
    return photos, styles


@contextmanager
def _named(option: str) -> Iterator[None]:
    """Add the option to an error about its places."""
    try:
        yield
    except (ComposeError, ManifestError) as error:
        raise ComposeError(f"{option} {error}") from error


def _given(place: str) -> str:
    return place if is_uri(place) else str(local_path(place))


def _refuse_output_in(place: str, out: str, option: str) -> None:
    """Refuse an output inside a folder of inputs, where the next run would find it."""
    if is_uri(place) != is_uri(out):
        return
    if is_uri(place):
        above, below = PurePosixPath(place.rstrip("/")), PurePosixPath(out.rstrip("/"))
    else:
        above = PurePosixPath(local_path(place).resolve())
        below = PurePosixPath(local_path(out).resolve())
    if below.is_relative_to(above):
        raise ConfigError(
            f"--out {redact_uri(out)}: is inside {option} {redact_uri(place)}, so its images would "
            "be found as inputs next time; give a folder beside it"
        )


def _sections(command: StylizeCommand, out: str, choices: Sequence[Choice]) -> dict[str, Any]:
    sections: dict[str, Any] = {
        "manifest": {"path": ""},
        "output": {
            "path": out,
            "name": name_template(
                command.naming,
                styles=bool(command.styles),
                prompts=len(command.drawing.prompt or ()),
            ),
            "format": command.naming.format,
        },
        # The user gave the URLs.
        "fetch": {"allow_private_networks": True, "http": {"proxy": "environment"}},
    }
    for choice in choices:
        sections |= choice.config
    sections["defaults"] = defaults_of(command.drawing, small=is_small(sections["model"]))
    if command.limit is not None:
        sections["manifest"]["limit"] = command.limit
    if command.retry_failed:
        sections["on_error"] = {"retry_failed": True}
    if command.config is not None:
        sections["storage"] = stores_in(command.config)
    return sections


@contextmanager
def _manifest(rows: Rows) -> Iterator[tuple[str, str]]:
    """Yield the path of the manifest in a temporary folder, and its path in the output.

    The latter has a hash of the rows: another run of the command, with other photographs, does not
    change the file that this one reads.
    """
    with tempfile.TemporaryDirectory(prefix="uso-stylize-") as folder:
        path = Path(folder) / "rows.parquet"
        write_manifest(rows, str(path), {})
        digest = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
        yield str(path), f"{_FOLDER}/rows-{digest}.parquet"


def _store_config(output: Storage, sections: Mapping[str, Any]) -> None:
    shared = {name: section for name, section in sections.items() if name != "storage"}  # secrets
    text = yaml.safe_dump(shared, sort_keys=False, allow_unicode=True)
    output.write(_CONFIG, (_HEAD + text).encode())


def _left_out(found: FoundImages) -> str:
    parts = []
    if found.left_out:
        endings = ", ".join(
            f"{ending or 'no ending'}" for ending, _ in found.left_out.most_common(5)
        )
        parts.append(f"{found.left_out.total():,} files of other types ({endings})")
    parts += [f"{count:,} files of the run in {folder}" for folder, count in found.outputs.items()]
    return f"; left out {', '.join(parts)}{heic_hint(found.left_out)}" if parts else ""


def _fact(console: Console, label: str, text: str) -> None:
    console.print(f"{label:<9}{terminal.one_line(text)}", soft_wrap=True)


def _report(command: StylizeCommand, config: RunConfig, options: Options) -> ReportFacts | None:
    out = config.output.path
    fetch = config.fetch.model_copy(update={"timeout_s": 20, "attempts": 2})
    places = Places(
        run=Storage.at(out, options),
        out=Storage.at(f"{out.rstrip('/')}/{FOLDER}", options),
        other=None,
    )
    commands = report_commands(places.run, command.config)
    wanted = ReportOptions(fetch=fetch, storage_options=options, commands=commands)
    try:
        return write_report(places, wanted, lambda *_: None)
    except ReportError:  # no row was recorded
        return None
