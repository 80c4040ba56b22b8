"""What can be known of a model without loading or pulling it."""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.config.model import ModelConfig
from pipelines.storage.urls import is_uri, redact_uri
from uso_core.errors import CheckpointError
from uso_core.families import assumed_card, describe_model
from uso_core.loading.source import ModelCard, ModelSource


@dataclass(frozen=True, slots=True)
class LookedAt:
    """A model as far as it is known.

    Attributes:
        card: the model's; or, where that is not known, one with the ranges of its family.
        source: where it lies.
        unknown: why the card is a stand-in; empty: it is the model's own.
    """

    card: ModelCard
    source: ModelSource
    unknown: str = ""


def look_at_model(config: ModelConfig) -> LookedAt:
    """The model's card, from its small files; nothing is pulled and nothing raised."""
    source = config.source
    stand_in = assumed_card(redact_uri(config.base))
    if any(map(is_uri, config.locations)):
        return LookedAt(stand_in, source, "its files are pulled, and looked at, when a run starts")
    try:
        return LookedAt(describe_model(source), source)
    except CheckpointError as error:
        return LookedAt(stand_in, source, str(error))
