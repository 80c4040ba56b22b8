"""The APIs of the vendors. A new one is a module with a `Dialect`, and an entry in `DIALECTS`."""

from __future__ import annotations

from jobs.serve.dialects.base import Dialect
from jobs.serve.dialects.inferencesh import InferenceSh
from jobs.serve.dialects.openai import OpenAI
from jobs.serve.dialects.wavespeed import WaveSpeed

DIALECTS: tuple[Dialect, ...] = (WaveSpeed(), OpenAI(), InferenceSh())
"""Asked in order; the last one answers every path that no other owns."""


def dialect_of(path: str) -> Dialect:
    """Return the dialect that a path of the server belongs to."""
    return next((each for each in DIALECTS if each.owns(path)), DIALECTS[-1])


def dialect_named(name: str) -> Dialect:
    """Return the dialect with a name."""
    return next(each for each in DIALECTS if each.name == name)
