"""Inspects a model without loading or pulling its weights."""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.config.model import ModelConfig
from pipelines.storage.urls import is_uri, redact_uri
from uso_core.errors import CheckpointError
from uso_core.families import assumed_card, describe_model
from uso_core.loading.source import ModelCard, ModelSource


@dataclass(frozen=True, slots=True)
class InspectedModel:
    """A model, as far as its small files describe it.

    Attributes:
        card: the model's own card, or a stand-in with the ranges of its family.
        source: places of its weights.
        unknown: the reason for a stand-in; empty if the card is the model's own.
    """

    card: ModelCard
    source: ModelSource
    unknown: str = ""


def inspect_model(config: ModelConfig) -> InspectedModel:
    """Read the card from a model's small files; pulls nothing and raises nothing."""
    source = config.source
    stand_in = assumed_card(redact_uri(config.base))
    if any(map(is_uri, config.locations)):
        return InspectedModel(stand_in, source, "its files are pulled and read when a run starts")
    try:
        return InspectedModel(describe_model(source), source)
    except CheckpointError as error:
        return InspectedModel(stand_in, source, str(error))
