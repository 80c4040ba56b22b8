"""The types of a request's fields, in manifests, configurations, commands and records."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pipelines.fields import cells


@dataclass(frozen=True, slots=True)
class Kind:
    """A type of values.

    Attributes:
        label: the name of the type for users.
        metavar: the placeholder for a value in the help of a command.
        config: the type in the configuration and on the command line.
        arrow: Arrow's alias of the type; for a list, of the type of its items.
        read: a function from a column's name and a cell to a value; it raises
            `InvalidRequestError`.
        is_list: True if the values are lists.
        is_reference: True if the values are references to images.
    """

    label: str
    metavar: str
    config: Any
    arrow: str
    read: Callable[[str, Any], Any]
    is_list: bool = False
    is_reference: bool = False


TEXT = Kind("string", "TEXT", str, "string", cells.text)
REFERENCE = Kind("reference", "IMAGE", str, "string", cells.reference, is_reference=True)
REFERENCES = Kind(
    "list of references",
    "IMAGE",
    list[str],
    "string",
    cells.references,
    is_list=True,
    is_reference=True,
)
NUMBERS = Kind("list of numbers", "NUMBER", list[float], "double", cells.numbers, is_list=True)
STYLES = Kind(
    "name or list", "STYLE", str | list[str | dict[str, str | float]], "string", cells.styles
)
INTEGER = Kind("integer", "N", int, "int32", cells.integer)
LARGE_INTEGER = Kind("integer", "N", int, "int64", cells.integer)
NUMBER = Kind("number", "NUMBER", float, "double", cells.number)
BOOLEAN = Kind("boolean", "", bool, "bool", cells.boolean)
