"""Moments as text."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Literal


def utc_now(timespec: Literal["seconds", "milliseconds"] = "seconds") -> str:
    """Return the current time in UTC, in ISO 8601 with an offset."""
    return datetime.now(timezone.utc).isoformat(timespec=timespec)
