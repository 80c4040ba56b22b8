"""The check of a signed image: its manifest against its bytes, its record and its references."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from pipelines.errors import ConfigError
from pipelines.formats import FORMAT_BY_SUFFIX, FORMATS
from pipelines.packing.layout import Sample
from pipelines.provenance.references import media_type_of
from pipelines.record import LIBRARY_STYLES, MODEL_LICENCE, REFERENCE_VERSIONS, UNSIGNED_SHA256
from pipelines.replay.differences import named_references
from pipelines.replay.recorded_row import is_inline
from pipelines.tools.verification.image_checks import Fault, RecordedImage

if TYPE_CHECKING:
    from pipelines.provenance.reading import ImageManifest

_MARK = b"c2pa"
_AGAIN = "restore the file, or generate the row again with uso run --check-images=full"


class SignatureCheck:
    """Checks the images of signed outputs; an `ImageCheck`.

    Attributes:
        valid: number of images whose signature is valid and whose manifest agrees with the record.
        trusted: number of those whose certificate leads to one of the roots.

    Args:
        anchors: PEM of the root certificates that are trusted; None: none is, and trust is not
            judged.
    """

    def __init__(self, anchors: str | None = None) -> None:
        self.valid = 0
        self.trusted = 0
        self._anchors = anchors
        self._lock = threading.Lock()

    @property
    def summary(self) -> str:
        """The numbers, for users."""
        if self._anchors is None:
            return f"{self.valid:,} valid; no root was given with --trust, so none is trusted"
        return f"{self.valid:,} valid, {self.trusted:,} of them trusted"

    def __call__(self, image: RecordedImage, data: bytes) -> Iterator[Fault]:
        """Yield the faults of an image; see `ImageCheck`.

        Raises:
            ConfigError: the image is signed, and the C2PA library is not installed.
        """
        unsigned = image.record.get(UNSIGNED_SHA256)
        is_signed = unsigned is not None and unsigned[image.index] is not None
        if not is_signed and image.must_be_signed and _MARK not in data:
            yield Fault(
                "signature_missing",
                "its run has signed its images (output.provenance.c2pa in run/ID.json), and "
                f"neither the file nor the record has a signature; {_AGAIN}",
            )
        elif is_signed or _MARK in data:
            found = self._read(data, image.place, _media_type(image))
            differences = partial(_differences, image)
            yield from self._faults(found, differences, is_signed=is_signed)

    def of_sample(self, sample: Sample, place: str) -> Iterator[Fault]:
        """Yield the faults of the signature of an image in a shard.

        Args:
            sample: the image, with the values of its sample.
            place: URI of the shard, without credentials.

        Raises:
            ConfigError: the image is signed, and the C2PA library is not installed.
        """
        is_signed = sample.values.get(UNSIGNED_SHA256) is not None
        if is_signed or _MARK in sample.data:
            media_type = media_type_of(sample.data)
            found = None if media_type is None else self._read(sample.data, place, media_type)
            differences = partial(_sample_differences, sample)
            yield from self._faults(found, differences, is_signed=is_signed)

    def _read(self, data: bytes, place: str, media_type: str) -> ImageManifest | None:
        if find_spec("c2pa") is None:
            raise ConfigError(
                f"{place}: the image is signed; to check it: pip install 'uso-batch[c2pa]'"
            )
        # The library is an extra.
        from pipelines.provenance.reading import read_manifest  # noqa: PLC0415

        return read_manifest(data, media_type, self._anchors)

    def _faults(
        self,
        found: ImageManifest | None,
        differences: Callable[[Mapping[str, Any]], Iterator[str]],
        *,
        is_signed: bool,
    ) -> Iterator[Fault]:
        if not is_signed:
            if found is not None and found.recipe:
                yield Fault(
                    "record_changed",
                    f"the image is signed, and its record has no {UNSIGNED_SHA256}; the record was "
                    "changed: generate the row again",
                )
            return
        if found is None:
            yield Fault("signature_missing", f"the file has no C2PA manifest; {_AGAIN}")
            return
        if found.problems:
            yield Fault("signature_invalid", f"{', '.join(found.problems)}; {_AGAIN}")
            return
        differs = [*differences(found.recipe)]
        if sorted(found.ingredients) != sorted(_hashes(found.recipe)):
            differs.append("the ingredients")
        if differs:
            yield Fault(
                "signature_of_another_recipe",
                f"the signed manifest and the record differ in {', '.join(differs)}; one of them "
                "was changed: generate the row again",
            )
            return
        yield from self._counted(found)

    def _counted(self, found: ImageManifest) -> Iterator[Fault]:
        is_trusted = found.trust == "trusted"
        with self._lock:
            self.valid += 1
            self.trusted += is_trusted
        if self._anchors is not None and not is_trusted:
            yield Fault(
                "signature_untrusted",
                f"the signature is valid, and the certificate of {found.signer!r} leads to no root "
                "of --trust",
            )


def _sample_differences(sample: Sample, recipe: Mapping[str, Any]) -> Iterator[str]:
    """Yield the names of the values in which a recipe and a sample differ.

    A sample has not all inputs of its row; the fingerprint stands for them.
    """
    stated = recipe.get("model", {})
    of_recipe = {**recipe, "model": stated.get("name"), MODEL_LICENCE: stated.get("licence")}
    values = {**sample.values, "index": sample.index}
    for name in ("fingerprint", "index", "seed", UNSIGNED_SHA256, "preset", "model", MODEL_LICENCE):
        value = values.get(name)
        is_known = value is not None or name in (UNSIGNED_SHA256, "fingerprint")
        if is_known and value != of_recipe.get(name):
            yield name


def _differences(image: RecordedImage, recipe: Mapping[str, Any]) -> Iterator[str]:
    """Yield the names of the values in which a recipe and a record differ."""
    from pipelines.provenance.claim import inputs_digest, stated_styles  # noqa: PLC0415 (see above)

    record, index = image.record, image.index
    model, preset = record["model"], record["preset"]
    expected = {
        "fingerprint": record["fingerprint"],
        "index": index,
        "seed": None if record["seed"] is None else record["seed"] + index,
        UNSIGNED_SHA256: record[UNSIGNED_SHA256][index],
        "preset": preset,
    }
    yield from (name for name, value in expected.items() if recipe.get(name) != value)
    stated = recipe.get("model", {})
    if stated.get("name") != model:
        yield "model"
    licence = record.get(MODEL_LICENCE)
    if licence is not None and stated.get("licence") != licence:
        yield MODEL_LICENCE
    if recipe.get("sha256") != inputs_digest(record, model, preset):
        yield "the inputs (prompt, sizes, steps, guidance, seed, style weights)"
    if recipe.get("library_styles", []) != stated_styles(record.get(LIBRARY_STYLES) or ()):
        yield "the styles of the library"
    yield from _reference_differences(record, recipe.get("references", ()))


def _hashes(recipe: Mapping[str, Any]) -> list[str]:
    return [str(each["sha256"]) for each in recipe.get("references", ())]


def _reference_differences(
    record: Mapping[str, Any], stated: Sequence[Mapping[str, Any]]
) -> Iterator[str]:
    named = named_references(record)
    roles = ["content" if name == "content_image" else "style" for name, _ in named]
    versions = record.get(REFERENCE_VERSIONS) or [None] * len(roles)
    known: list[str | None] = [None if each is None else each["sha256"] for each in versions]
    known += [None] * (len(roles) - len(known))
    places = list(zip(roles, known, strict=False))
    is_unused = "content" not in [each["role"] for each in stated] and known[:1] == [None]
    if is_unused and roles[:1] == ["content"]:  # with content_long_size: 0
        places = places[1:]
    if [role for role, _ in places] != [each["role"] for each in stated]:
        yield "the number of references"
        return
    # An inline image has no version: the fingerprint covers it, by another hash.
    inline = [is_inline(shown) for _, shown in named][-len(places) :]
    for number, ((role, sha256), each) in enumerate(zip(places, stated, strict=True)):
        if sha256 != each["sha256"] and not (sha256 is None and inline[number]):
            yield f"reference {number} ({role})"


def _media_type(image: RecordedImage) -> str:
    suffix = PurePosixPath(image.path or image.place).suffix.lower()
    return FORMATS[FORMAT_BY_SUFFIX[suffix]].mime_type
