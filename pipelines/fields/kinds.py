"""The types of a request's fields, each with the form that it has in every place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pipelines.fields import cells


@dataclass(frozen=True, slots=True)
class Kind:
    """A type of values.

    Attributes:
        label: The name that users read.
        metavar: The name that the help of a command gives a value.
        config: The type in the configuration and on the command line.
        arrow: Arrow's alias of the type; for a list, of its items.
        read: Turns a column's name and a cell into a value. Raises `InvalidRequestError`.
        is_list: True if values are lists.
        is_reference: True if values refer to images.
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
INTEGER = Kind("integer", "N", int, "int32", cells.integer)
LARGE_INTEGER = Kind("integer", "N", int, "int64", cells.integer)
NUMBER = Kind("number", "NUMBER", float, "double", cells.number)
BOOLEAN = Kind("boolean", "", bool, "bool", cells.boolean)
