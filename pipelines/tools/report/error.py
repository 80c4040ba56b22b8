"""Why no report can be made."""

from __future__ import annotations


class ReportError(Exception):
    """There is nothing to report on; the message says where, and what to do."""
