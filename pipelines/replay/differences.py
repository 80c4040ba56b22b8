"""The circumstances of a drawing, and the ones that are not as they were."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from pipelines.config.schema import RunConfig
from pipelines.display import display_reference
from pipelines.manifest.row_identity import run_facts
from pipelines.record import LIBRARY_VERSIONS, REFERENCE_VERSIONS
from pipelines.replay.stored_run import StoredRun
from pipelines.rows import Outcome
from pipelines.storage.urls import redact_uri
from pipelines.versions import versions_of
from uso_core.loading.source import ModelCard

Kind = Literal[
    "reference_changed",
    "reference_gone",
    "preset",
    "model",
    "setting",
    "library",
    "device",
    "batch",
    "record",
    "failure",
]
_KEYS = {
    "cache_threshold": "model.cache_threshold",
    "attention": "model.attention",
    "exif_rotate": "fetch.exif_rotate",
    "colour": "fetch.colour",
    "format": "output.format",
    "lossless": "output.lossless",
    "quality": "output.quality",
}
"""The facts of a fingerprint by the keys of the configuration that set them."""

_DIGITS = 12  # of a hash in a message


class Difference(NamedTuple):
    """One circumstance that is not as it was.

    Attributes:
        kind: its kind.
        name: the column, setting or library.
        message: both values, for users.
    """

    kind: Kind
    name: str
    message: str


@dataclass(frozen=True, slots=True)
class Circumstances:
    """The settings and the model of all rows of a run.

    Attributes:
        name: name of the model.
        model: its fingerprint.
        settings: settings by the keys of the configuration.
    """

    name: str
    model: str
    settings: Mapping[str, Any]

    @classmethod
    def of(cls, config: RunConfig, card: ModelCard) -> Circumstances:
        """Return the circumstances of a configuration and a model."""
        facts = run_facts(config, card.fingerprint)
        of_keys = {_KEYS[name]: value for name, value in facts.items() if name in _KEYS}
        return cls(
            card.name,
            card.fingerprint,
            {
                **of_keys,
                "model.dtype": config.model.dtype,
                "model.compile": config.model.compile,
                "stylize.batch_images": config.stylize.batch_images,
                "stylize.cpus_per_actor": config.stylize.cpus_per_actor,
                "output.recipe": config.output.recipe,
            },
        )

    def differences(self, now: Circumstances) -> Iterator[Difference]:
        """Yield the differences from the circumstances `now`."""
        if self.model != now.model:
            before, after = (f"{one.name} ({one.model[:_DIGITS]})" for one in (self, now))
            yield _changed("model", "model", before, after)
        for name in sorted(self.settings.keys() | now.settings.keys()):
            then, this = self.settings.get(name), now.settings.get(name)
            if then != this:
                yield _changed("setting", name, then, this)


def row_differences(
    record: Mapping[str, Any], outcome: Outcome, preset: str, run: StoredRun | None
) -> Iterator[Difference]:
    """Yield the changes since one row was recorded: of preset, device and libraries.

    Args:
        record: its record.
        outcome: its outcome now.
        preset: the preset now.
        run: the run that recorded it, for the versions that earlier versions put into run files.
    """
    if record["preset"] not in (None, preset):
        yield _changed("preset", "preset", record["preset"], preset)
    if None not in (record["device"], outcome.device) and record["device"] != outcome.device:
        yield _changed("device", "device", record["device"], outcome.device)
    recorded = record.get(LIBRARY_VERSIONS)
    before = versions_of(recorded) if recorded else dict(run.versions if run else {})
    after = versions_of(outcome.library_versions or "")
    if not recorded:
        message = "recorded by an earlier version: library versions of its worker unknown"
        yield Difference("library", "unknown", message)
    for name in sorted(before.keys() & after.keys()):
        if before[name] != after[name]:
            yield _changed("library", name, before[name], after[name])
    if recorded:
        for name in sorted(before.keys() ^ after.keys()):
            yield _changed("library", name, before.get(name), after.get(name))


def reference_differences(record: Mapping[str, Any], outcome: Outcome) -> Iterator[Difference]:
    """Yield the references of a row whose files have another hash than when it was recorded."""
    recorded = record.get(REFERENCE_VERSIONS) or ()
    for place, (before, after) in enumerate(zip(recorded, outcome.references, strict=False)):
        name, uri = _reference(record, place)
        known = None if before is None else before["sha256"]
        found = None if after is None else after.sha256
        if known is not None and found is not None and known != found:
            shown = redact_uri(display_reference(uri))
            hashes = f"SHA-256 {found[:_DIGITS]}… now, {known[:_DIGITS]}… then"
            message = f"{name}: {shown}: {hashes}"
            yield Difference("reference_changed", name, message)


def _changed(kind: Kind, name: str, before: object, after: object) -> Difference:
    return Difference(kind, name, f"{name}: {_shown(after)} now, {_shown(before)} then")


def _shown(value: object) -> str:
    return "none" if value is None else str(value)


def named_references(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the references of a record, each with the name of its column."""
    content = record["content_image"]
    styles = enumerate(record["style_images"] or ())
    named = [(f"style_images[{place}]", uri) for place, uri in styles]
    return named if content is None else [("content_image", content), *named]


def _reference(record: Mapping[str, Any], place: int) -> tuple[str, str]:
    places = named_references(record)
    return places[place] if place < len(places) else ("reference", "")
