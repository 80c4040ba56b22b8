"""Inspects a model without loading or pulling its weights."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

from pipelines.config.model import ModelConfig
from pipelines.errors import Fault, StorageError
from pipelines.storage.causes import cause_of
from pipelines.storage.files import Place
from pipelines.storage.filesystems import Options
from pipelines.storage.patience import Patience
from pipelines.storage.reading import Reading
from pipelines.storage.urls import is_uri, redact_uri
from uso_core.errors import CheckpointError
from uso_core.families import assumed_card, describe_model
from uso_core.loading.source import ModelCard, ModelSource, limits_in, tiny_seed
from uso_core.loading.tiny_configs import TINY_LIMITS
from uso_core.request import Limits


@dataclass(frozen=True, slots=True)
class InspectedModel:
    """A model, as far as its small files describe it.

    Attributes:
        card: the model's own card, or a stand-in; its limits are the model's if they are known.
        source: places of its weights.
        unknown: the reason for a stand-in; empty if the card is the model's own.
        limits_known: False if the card has the usual ranges of its family instead of the model's.
    """

    card: ModelCard
    source: ModelSource
    unknown: str = ""
    limits_known: bool = True

    @property
    def sizes(self) -> str:
        """The accepted sizes, and whether they are the model's own, in words."""
        limits = self.card.limits
        sizes = f"sizes from {limits.min_size} to {limits.max_size} pixels"
        if self.limits_known:
            return f"{sizes}, as {self.card.name} has them"
        return f"{sizes}: assuming FLUX.1-dev's ranges, because the model's are not known here"


def inspect_model(config: ModelConfig, options: Options | None = None) -> InspectedModel:
    """Read the card from a model's small files; pulls no weights and raises nothing.

    Of a model at a URL, only the limits in its config.json are read, in one attempt.

    Args:
        config: the model.
        options: fsspec options by protocol, secrets resolved; None: there are no options.
    """
    source = config.source
    reason = "its files are pulled and read when a run starts"
    if not any(map(is_uri, config.locations)):
        try:
            return InspectedModel(describe_model(source), source)
        except CheckpointError as error:
            reason = str(error)
    stand_in = assumed_card(redact_uri(config.base))
    limits = _limits_of(config.base, options or {})
    if limits is None:
        return InspectedModel(stand_in, source, reason, limits_known=False)
    return InspectedModel(replace(stand_in, limits=limits), source, reason)


def _limits_of(base: str, options: Options) -> Limits | None:
    """Return the limits of a tiny model, or of the settings in a folder; None: it has none."""
    try:
        if tiny_seed(base) is not None:
            return TINY_LIMITS
        if not is_uri(base):
            return None
        place = Place(f"{base.rstrip('/')}/config.json", options, Reading(_told, Patience(0)))
        file = place.file()
        settings: Any = None if file is None else json.loads(file.open_all().read())
        return limits_in(settings, place.uri) if isinstance(settings, dict) else None
    except (CheckpointError, StorageError, ValueError):
        return None


def _told(uri: str, fault: Fault, error: Exception) -> StorageError:
    return StorageError(uri, cause_of(error), fault)
