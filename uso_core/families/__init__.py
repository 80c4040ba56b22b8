"""The model families, and the choice of the one that a checkpoint belongs to.

A new family is a module here and an entry in `FAMILIES`, before the last one, which takes every
checkpoint that no other recognizes. Importing this costs no torch.
"""

from __future__ import annotations

from uso_core.families.flux import USO_ON_FLUX
from uso_core.loading.component_files import FileListing
from uso_core.loading.listing import list_files
from uso_core.loading.source import ModelCard, ModelSource
from uso_core.protocol import ModelFamily

FAMILIES: tuple[ModelFamily, ...] = (USO_ON_FLUX,)


def family_of(source: ModelSource) -> ModelFamily:
    """Return the family of a checkpoint.

    Its files are listed only if there is a choice and the name of its base does not decide.

    Raises:
        CheckpointError: there is no such folder or repository.
    """
    *others, last = FAMILIES
    for family in FAMILIES:
        if family.owns_name(source.base):
            return family
    return family_in(list_files(source.base, source.base_revision)) if others else last


def family_in(base: FileListing) -> ModelFamily:
    """Return the family of a checkpoint by the files at its base."""
    *others, last = FAMILIES
    return next((family for family in others if family.recognizes(base)), last)


def family_named(name: str) -> ModelFamily:
    """Return the family of a model by its name in a record."""
    return next((family for family in FAMILIES if family.owns_name(name)), FAMILIES[-1])


def describe_model(source: ModelSource) -> ModelCard:
    """Describe a model from its small files and its files' headers, in about a second.

    Nothing is downloaded. For a model at the Hub, this checks that its files exist and may be
    downloaded.

    Raises:
        CheckpointError: a file is missing, cannot be read, is cut short, or must not be downloaded;
            it names the file, where it was looked for, and how to get it.
    """
    return family_of(source).describe(source)


def assumed_card(name: str) -> ModelCard:
    """Return a card for a model that cannot be described yet, with its family's usual limits."""
    return ModelCard(name, "unknown", family_named(name).usual_limits, "")
