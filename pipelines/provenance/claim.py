"""The content of an image's manifest: what made the image, from what, and the wish of its owner."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from pipelines.fields.table import RECORDED_FIELDS
from pipelines.provenance.references import IngredientFile
from pipelines.reference_facts import LibraryStyle
from pipelines.rows import TrainingMining

RECIPE = "org.uso-batch.recipe"
"""Label of the assertion that binds an image to its record."""
TRAINING_MINING = "cawg.training-mining"
"""Label of the assertion of CAWG, which took it over from C2PA in version 2."""
GENERATOR = "USO Batch"
GENERATED = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
"""IPTC: media that a trained model has created. Every pixel is the model's, also with a content
image, which enters as tokens beside the noise; so none is a composite."""

_USES = ("ai_generative_training", "ai_inference", "ai_training", "data_mining")
_MODEL_TYPE = "c2pa.types.model"
_BOUND = tuple(field for field in RECORDED_FIELDS if not field.kind.is_reference)
_SCHEMA = 1


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """The model, as manifests of its images name it.

    Attributes:
        name: its name in the records.
        licence: licences of the weights, as a phrase.
        fingerprint: hexadecimal.
        preset: name of the preset.
    """

    name: str
    licence: str
    fingerprint: str
    preset: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The facts of one image.

    Attributes:
        model: the model.
        inputs: the inputs of its row by the names of their record columns, `width` and `height` of
            the image.
        fingerprint: fingerprint of the row.
        seed: seed of the image.
        index: number of the image within its row, from 0.
        unsigned_sha256: hash of the encoded image before it was signed, in hex.
        references: the content image, if the row has one, then the style images.
        library_styles: styles of a library, in order.
        training_mining: the wish of the owner; None: none is stated.
    """

    model: ModelFacts
    inputs: Mapping[str, Any]
    fingerprint: str
    seed: int
    index: int
    unsigned_sha256: str
    references: Sequence[IngredientFile] = ()
    library_styles: Sequence[LibraryStyle] = ()
    training_mining: TrainingMining | None = None

    def recipe(self) -> dict[str, Any]:
        """Return the content of the assertion `RECIPE`."""
        model = self.model
        styles = stated_styles(each._asdict() for each in self.library_styles)
        return {
            "schema": _SCHEMA,
            "sha256": inputs_digest(self.inputs, model.name, model.preset),
            "fingerprint": self.fingerprint,
            "seed": self.seed,
            "index": self.index,
            "unsigned_sha256": self.unsigned_sha256,
            "model": {
                "name": model.name,
                "licence": model.licence,
                "fingerprint": model.fingerprint,
            },
            "preset": model.preset,
            "references": [{"role": each.role, "sha256": each.sha256} for each in self.references],
            **({"library_styles": styles} if styles else {}),
        }

    def definition(self, plain: Sequence[IngredientFile]) -> dict[str, Any]:
        """Return the definition of the manifest, as C2PA's libraries take it.

        Args:
            plain: the references that are named by their hash alone. The library adds the others
                from their files.
        """
        agent = {"name": GENERATOR, "version": software_version()}
        styles = [_ingredient(at, style) for at, style in enumerate(self.library_styles, 1)]
        labels = [each.label for each in self.references]
        parts = ["model", *labels, *(style["label"] for style in styles)]
        created = {
            "action": "c2pa.created",
            "digitalSourceType": GENERATED,
            "softwareAgent": agent,
            "parameters": {"ingredientIds": parts},
        }
        assertions = [
            {"label": "c2pa.actions.v2", "created": True, "data": {"actions": [created]}},
            {"label": RECIPE, "created": True, "data": self.recipe()},
        ]
        if self.training_mining is not None:
            uses = {f"cawg.{use}": {"use": self.training_mining} for use in _USES}
            assertions.append(
                {"label": TRAINING_MINING, "created": True, "data": {"entries": uses}}
            )
        return {
            "claim_generator_info": [agent],
            "assertions": assertions,
            "ingredients": [self._model(), *(each.ingredient() for each in plain), *styles],
        }

    def _model(self) -> dict[str, Any]:
        return {
            "label": "model",
            "title": self.model.name,
            "description": f"Licence: {self.model.licence}",
            "format": "application/octet-stream",
            "instance_id": f"urn:uso-batch:model:{self.model.fingerprint}",
            "relationship": "inputTo",
            "data_types": [{"type": _MODEL_TYPE}],
        }


def _ingredient(number: int, style: LibraryStyle) -> dict[str, Any]:
    """Return the ingredient that is a style of a library: its tokens are in no file of a format."""
    return {
        "label": f"library-style-{number}",
        "title": style.name,
        "description": f"Licence: {style.licence or 'unknown'}",
        "format": "application/octet-stream",
        "instance_id": f"urn:uso-batch:style:{style.sha256}",
        "relationship": "inputTo",
    }


def stated_styles(styles: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return what a recipe states of styles of a library: the hash of the tokens, and the weight.

    Args:
        styles: in order, as a record has them.
    """
    return [{"sha256": style["sha256"], "weight": style["weight"]} for style in styles]


def inputs_digest(inputs: Mapping[str, Any], model: str, preset: str) -> str:
    """Return a hash of the inputs that a record states, in hex.

    It follows from the record alone, and stays the same if a later version records more fields. The
    references are not in it: they are bound by the hashes of their files.

    Args:
        inputs: values by the names of their record columns; others are left out.
        model: the record's `model`.
        preset: the record's `preset`.
    """
    bound: dict[str, Any] = {"model": model, "preset": preset}
    for field in _BOUND:
        value = inputs.get(field.name)
        if value is None:
            continue
        is_real = field.kind.arrow == "double"
        if field.kind.is_list:
            bound[field.name] = [float(each) if is_real else each for each in value]
        else:
            bound[field.name] = float(value) if is_real else value
    text = json.dumps(bound, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


@cache
def software_version() -> str:
    """Return the version of this package; `unknown` in a checkout that is not installed."""
    try:
        return version("uso-batch")
    except PackageNotFoundError:
        return "unknown"
