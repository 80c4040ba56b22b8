"""The arguments of the commands on the page, which take the rows of a choice."""

from __future__ import annotations

from dataclasses import dataclass

UNKNOWN = "CONFIG"
"""Stands for a configuration whose place is not known."""

ANYWHERE = "Give the commands in the folder with the saved file."


@dataclass(frozen=True, slots=True)
class Commands:
    """The arguments of the commands, ready for a shell.

    Attributes:
        config: the YAML file of the run, quoted; or `UNKNOWN`.
        pack_options: options with which `uso pack` reaches the output, quoted; may be empty.
        notes: sentences about the commands, for people.
    """

    config: str = UNKNOWN
    pack_options: str = ""
    notes: tuple[str, ...] = (ANYWHERE, f"{UNKNOWN} is the YAML file of the run.")
