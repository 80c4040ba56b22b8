"""Why an output cannot be packed."""

from __future__ import annotations


class PackError(Exception):
    """An image is not as recorded, or the destination holds files of somebody else's."""
