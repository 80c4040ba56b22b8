"""The one error of making a manifest."""

from __future__ import annotations


class ComposeError(Exception):
    """What was asked for gives no manifest; the message says why and what to do."""
