"""Groups of options: one parameter of a command stands for many options.

typer wants one parameter per option, so the signature of a command with many options would be
longer than a function should be. A group is either a dataclass, whose fields are the options, or an
`OptionTable`, whose options are data and can be derived from another table.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, is_dataclass
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from typer.models import OptionInfo

_KEYWORD = inspect.Parameter.KEYWORD_ONLY


@dataclass(frozen=True, slots=True)
class Option:
    """One option of a table.

    Attributes:
        name: the key of the value, a Python identifier; the flag too, unless `info` names one.
        kind: the type of the value, for example `int` or `list[str] | None`.
        default: the value without the option.
        info: a `typer.Option` with the flag, the help text and so on.
    """

    name: str
    kind: Any
    default: object
    info: OptionInfo


@dataclass(frozen=True, slots=True)
class OptionTable:
    """A group whose values arrive as a mapping from option name to value.

    A command takes it as `values: Annotated[Mapping[str, Any], TABLE]`.

    Attributes:
        panel: the heading of these options in the help.
        options: the options, in the order of the help.
    """

    panel: str
    options: Sequence[Option]


def with_option_groups(command: Callable[..., None]) -> Callable[..., None]:
    """Replace each group in the parameters of a command by its options.

    Args:
        command: a function with parameters for typer, some of them groups: annotated with an
            `OptionTable`, or with a dataclass whose fields are written as
            `name: Annotated[type, typer.Option(...)] = default` and whose class variable `PANEL`,
            if it has one, is the heading of these options in the help.

    Returns:
        A function with one keyword parameter per option, for `typer.Typer.command`.

    Raises:
        ValueError: two options have the same name.
    """
    parameters: list[inspect.Parameter] = []
    groups: dict[str, tuple[Callable[..., object], list[str]]] = {}
    for parameter in inspect.signature(command, eval_str=True).parameters.values():
        group = _group(parameter.annotation)
        if group is None:
            parameters.append(parameter.replace(kind=_KEYWORD))
        else:
            make, members = group
            groups[parameter.name] = make, [member.name for member in members]
            parameters += members

    def with_every_option(**values: object) -> None:
        grouped = {
            name: make(**{member: values.pop(member) for member in members})
            for name, (make, members) in groups.items()
        }
        command(**values, **grouped)

    with_every_option.__name__ = command.__name__
    with_every_option.__doc__ = command.__doc__
    # typer reads both.
    with_every_option.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    with_every_option.__annotations__ = {each.name: each.annotation for each in parameters}
    return with_every_option


def _group(annotation: object) -> tuple[Callable[..., object], list[inspect.Parameter]] | None:
    """Return the constructor and the options of a group; None: `annotation` is not a group."""
    if is_dataclass(annotation):
        assert isinstance(annotation, type)
        return annotation, _fields(annotation)
    if get_origin(annotation) is Annotated:
        for table in get_args(annotation)[1:]:
            if isinstance(table, OptionTable):
                return dict, [_parameter(option, table.panel) for option in table.options]
    return None


def _fields(group: type) -> list[inspect.Parameter]:
    hints: Mapping[str, Any] = get_type_hints(group, include_extras=True)
    options = []
    for field in inspect.signature(group).parameters.values():
        kind, info = get_args(hints[field.name])
        option = Option(field.name, kind, field.default, info)
        options.append(_parameter(option, getattr(group, "PANEL", "")))
    return options


def _parameter(option: Option, panel: str) -> inspect.Parameter:
    info = copy(option.info)
    info.rich_help_panel = panel or info.rich_help_panel
    annotation: object = Annotated[option.kind, info]
    return inspect.Parameter(option.name, _KEYWORD, default=option.default, annotation=annotation)
