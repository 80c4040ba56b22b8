"""Reads the manifest of an image, and tells invalid, untrusted and trusted ones apart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pipelines.provenance.claim import RECIPE, TRAINING_MINING
from pipelines.provenance.references import hash_of
from pipelines.provenance.sdk import C2paError, read_store

Trust = Literal["trusted", "untrusted"]

_UNTRUSTED = "signingCredential.untrusted"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageManifest:
    """The manifest of an image.

    Attributes:
        problems: codes of C2PA for everything that makes the manifest invalid, such as
            `assertion.dataHash.mismatch`; empty: its signature is valid and binds the image.
        trust: `trusted` if its certificate leads to a root that the reader trusts.
        label: name of the manifest.
        signer: common name of the certificate.
        algorithm: the signature's algorithm.
        recipe: content of the assertion that this software writes; empty if there is none.
        ingredients: hashes of the references that are ingredients, in hex, in the manifest's order.
        chained: hashes of those whose own manifests are in this one's.
        training_mining: the wish of the owner; None: none is stated.
    """

    problems: tuple[str, ...]
    trust: Trust
    label: str = ""
    signer: str = ""
    algorithm: str = ""
    recipe: Mapping[str, Any] = field(default_factory=dict)
    ingredients: tuple[str, ...] = ()
    chained: tuple[str, ...] = ()
    training_mining: str | None = None


def read_manifest(data: bytes, media_type: str, anchors: str | None = None) -> ImageManifest | None:
    """Return the manifest of an image, validated.

    Args:
        data: the file.
        media_type: its media type.
        anchors: PEM of the root certificates that are trusted; None: none is.

    Returns:
        None if the image has no manifest. One that cannot be read has a problem that says so.
    """
    try:
        store = read_store(data, media_type, anchors)
    except C2paError as error:
        return ImageManifest(problems=(f"unreadable: {error}",), trust="untrusted")
    if store is None:
        return None
    label = store.get("active_manifest", "")
    active = store.get("manifests", {}).get(label, {})
    signature = active.get("signature_info") or {}
    parts = [
        (hash_of(each.get("instance_id") or ""), each) for each in active.get("ingredients", ())
    ]
    known = [(sha256, each) for sha256, each in parts if sha256 is not None]
    return ImageManifest(
        problems=_problems(store),
        trust="trusted" if store.get("validation_state") == "Trusted" else "untrusted",
        label=label,
        signer=signature.get("common_name") or "",
        algorithm=signature.get("alg") or "",
        recipe=_assertion(active, RECIPE) or {},
        ingredients=tuple(sha256 for sha256, _ in known),
        chained=tuple(sha256 for sha256, each in known if each.get("active_manifest")),
        training_mining=_wish(_assertion(active, TRAINING_MINING)),
    )


def _problems(store: Mapping[str, Any]) -> tuple[str, ...]:
    results = store.get("validation_results") or {}
    codes = [each["code"] for each in _failures(results)]
    found = tuple(dict.fromkeys(code for code in codes if code != _UNTRUSTED))
    state = store.get("validation_state")
    if not found and state not in ("Valid", "Trusted"):
        return (f"the state {state}",)
    return found


def _failures(results: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    yield from (results.get("activeManifest") or {}).get("failure", ())
    for delta in results.get("ingredientDeltas") or ():
        yield from delta.get("validationDeltas", {}).get("failure", ())


def _assertion(manifest: Mapping[str, Any], label: str) -> dict[str, Any] | None:
    found: list[dict[str, Any]] = [
        each["data"] for each in manifest.get("assertions", ()) if each.get("label") == label
    ]
    return found[0] if found else None


def _wish(assertion: Mapping[str, Any] | None) -> str | None:
    uses = {each.get("use") for each in (assertion or {}).get("entries", {}).values()}
    return uses.pop() if len(uses) == 1 else None
