"""`uso style`: adds, lists, shows and removes styles of a library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from jobs import exits, terminal
from jobs.outputs import hint_at_config
from jobs.secret_settings import resolved_fetch, storage_options
from pipelines.config.http import ENVIRONMENT, HttpConfig
from pipelines.config.inputs import FetchConfig
from pipelines.config.model import ModelConfig
from pipelines.config.schema import RunConfig
from pipelines.errors import ConfigError, StyleError
from pipelines.failures import RowFailedError
from pipelines.fetch.fetcher import Fetcher
from pipelines.storage.filesystems import Options
from pipelines.storage.urls import is_uri
from pipelines.styles.library import NAME, NAME_FORM, StyleLibrary
from pipelines.styles.style_file import StyleFacts
from pipelines.worker.spec import StylizerSpec
from uso_core.errors import UsoError
from uso_core.families import describe_model
from uso_core.local_path import local_path

USUAL_LIBRARY = "styles"


@dataclass(frozen=True, slots=True)
class Where:
    """The place of a library.

    Attributes:
        library: its folder or URL; None: that of the configuration, or the folder `styles`.
        config_path: the YAML file of a run; None: there is none.
    """

    library: str | None
    config_path: Path | None

    def open(self) -> StyleLibrary:
        """Return the library.

        Raises:
            ConfigError: the file is wrong, or an environment variable that it names is not set.
            StorageError: the URL's filesystem cannot be used.
        """
        url = self.library
        if url is None and self.config_path is not None:
            url = RunConfig.from_yaml(self.config_path).manifest.style_library
        return StyleLibrary(url or USUAL_LIBRARY, storage_options(self.config_path))


@dataclass(frozen=True, slots=True)
class AddCommand:
    """The arguments of `uso style add`.

    Attributes:
        name: name of the style.
        images: paths or URIs.
        weights: numbers with commas between them; None: 1 for each image.
        licence: licence of the images, or None.
        model: keys of the section `model`, for a command without a configuration.
        force: replace a style of that name.
        as_json: print one JSON object instead of text.
    """

    name: str
    images: tuple[str, ...]
    weights: str | None
    licence: str | None
    model: Mapping[str, Any]
    force: bool
    as_json: bool


@dataclass(frozen=True, slots=True)
class _Settings:
    """The model and the settings with which the images of a style are encoded."""

    model: ModelConfig
    fetch: FetchConfig
    storage: Options
    threads: int


def add_command(command: AddCommand, where: Where) -> int:
    """Add a style, and return the exit code."""
    with exits.exit_on_error(UsoError, RowFailedError), hint_at_config(where.config_path):
        if not NAME.fullmatch(command.name):
            raise StyleError(f"the name {command.name!r}", f"is not accepted; give {NAME_FORM}")
        weights = _weights(command)
        library, settings = where.open(), _settings(command, where)
        if not command.force and library.has(command.name):
            raise StyleError(library.file_uri(command.name), "exists; use --force to replace it")
        facts, data = _made(command, weights, settings)
        uri = library.write(command.name, data, force=command.force)
    if command.as_json:
        terminal.print_json({"uri": uri, **_as_json(command.name, facts)})
        return exits.DONE
    console = terminal.out()
    terminal.fact(console, "style", command.name)
    _print_facts(facts)
    terminal.fact(console, "wrote", uri)
    return exits.DONE


def list_command(where: Where, *, as_json: bool) -> int:
    """List the styles of a library, and return the exit code."""
    styles, damaged = list[tuple[str, StyleFacts]](), list[StyleError]()
    with exits.exit_on_error(), hint_at_config(where.config_path):
        library = where.open()
        for name in library.names():
            try:
                facts = library.facts(name)
            except StyleError as error:
                damaged.append(error)
                continue
            if facts is not None:  # removed meanwhile
                styles.append((name, facts))
    if as_json:
        terminal.print_json([_as_json(name, facts) for name, facts in styles])
    else:
        _print_list(library.uri, styles)
    for each in damaged:
        exits.print_error(str(each))
    return exits.WRONG_INPUT if damaged else exits.DONE


def _print_list(uri: str, styles: Sequence[tuple[str, StyleFacts]]) -> None:
    console = terminal.out()
    if not styles:
        console.print(f"{terminal.one_line(uri)}: no styles; `uso style add` adds one")
    for name, facts in styles:
        count = len(facts.images)
        images = f"{count} images" if count > 1 else "1 image"
        licence = f", {facts.licence}" if facts.licence else ""
        terminal.fact(console, name, f" {images}, {facts.model}{licence}")


def show_command(name: str, where: Where, thumbnails: Path | None, *, as_json: bool) -> int:
    """Show a style, and return the exit code."""
    with exits.exit_on_error(UsoError, OSError), hint_at_config(where.config_path):
        library = where.open()
        facts = library.facts(name)
        if facts is None:
            raise StyleError(library.uri, f"it has no style {name!r}; {library.nearest(name)}")
        if thumbnails is not None:
            folder = local_path(thumbnails)
            folder.mkdir(parents=True, exist_ok=True)
            for place, image in enumerate(facts.images):
                (folder / f"{name}-{place}.jpg").write_bytes(image.jpeg)
    if as_json:
        terminal.print_json({"uri": library.file_uri(name), **_as_json(name, facts)})
        return exits.DONE
    terminal.fact(terminal.out(), "style", name)
    _print_facts(facts)
    return exits.DONE


def remove_command(name: str, where: Where) -> int:
    """Remove a style, and return the exit code."""
    with exits.exit_on_error(), hint_at_config(where.config_path):
        library = where.open()
        library.remove(name)
    terminal.out().print(f"removed {terminal.one_line(library.file_uri(name))}", soft_wrap=True)
    return exits.DONE


def _made(
    command: AddCommand, weights: tuple[float, ...], settings: _Settings
) -> tuple[StyleFacts, bytes]:
    # Imported late: torch takes seconds to load, and wrong arguments end the command first.
    from pipelines.tools.styling.make import Source, make_style  # noqa: PLC0415
    from pipelines.worker.loading import load_pipeline  # noqa: PLC0415
    from pipelines.worker.model_files import localize  # noqa: PLC0415

    sources = [
        Source(_absolute(image), weight)
        for image, weight in zip(command.images, weights, strict=True)
    ]
    card = describe_model(localize(settings.model, settings.storage))
    with closing(Fetcher(settings.fetch, settings.storage)) as fetcher:
        for source in sources:
            fetcher.read(source.reference)  # a wrong name ends the command before the model loads
        pipeline = load_pipeline(settings.model, settings.storage, settings.threads)
        preset = settings.model.preset
        return make_style(pipeline, card, preset, sources, fetcher, command.licence)


def _settings(command: AddCommand, where: Where) -> _Settings:
    """Return the settings of the configuration, or those of the options."""
    if where.config_path is None:
        try:
            model = ModelConfig(**command.model)
        except ValidationError as error:
            reasons = [str(detail["ctx"]["error"]) for detail in error.errors()]
            raise ConfigError(f"--preset: {'; '.join(reasons)}") from error
        http = HttpConfig(proxy=ENVIRONMENT)  # the user gave the URIs
        return _Settings(model, FetchConfig(allow_private_networks=True, http=http), {}, 1)
    config = RunConfig.from_yaml(where.config_path)
    try:
        spec = StylizerSpec.from_config(config)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    fetch = resolved_fetch(config)
    return _Settings(spec.model, fetch, spec.storage, spec.torch_threads)


def _weights(command: AddCommand) -> tuple[float, ...]:
    count = len(command.images)
    if command.weights is None:
        return (1.0,) * count
    try:
        found = tuple(float(each) for each in command.weights.split(","))
    except ValueError:
        found = ()
    if len(found) != count or not all(0 < each < float("inf") for each in found):
        raise ConfigError(
            f"--weights {command.weights}: is not accepted; give one number above 0 for each of "
            f"the {count} images, with commas between them"
        )
    return found


def _absolute(reference: str) -> str:
    return reference if is_uri(reference) else str(local_path(reference).resolve())


def _print_facts(facts: StyleFacts) -> None:
    console = terminal.out()
    for image in facts.images:
        stated = "".join(f", {text}" for text in (image.licence, image.wish) if text)
        terminal.fact(console, "image", f"{image.name}, weight {image.weight:g}{stated}")
    terminal.fact(console, "licence", facts.licence or "unknown")
    made = f"{facts.model}, fingerprint {facts.model_fingerprint[:12]}, preset {facts.preset}"
    terminal.fact(console, "model", made)
    terminal.fact(console, "tokens", f"{facts.sha256[:12]}, {facts.dtype}")
    terminal.fact(console, "made", facts.created_at)


def _as_json(name: str, facts: StyleFacts) -> dict[str, Any]:
    images = [
        {name: value for name, value in asdict(image).items() if name != "thumbnail"}
        for image in facts.images
    ]
    return {
        "name": name,
        "sha256": facts.sha256,
        "licence": facts.licence,
        "images": images,
        "model": facts.model,
        "model_fingerprint": facts.model_fingerprint,
        "preset": facts.preset,
        "dtype": facts.dtype,
        "created_at": facts.created_at,
    }
