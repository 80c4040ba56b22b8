"""One field of a row's request, and all that is said about it once."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pipelines.fields.kinds import Kind
from uso_core.request import Limits, Parameters, StylizeRequest

_DEFAULTS = {field.name: field.default for field in dataclasses.fields(StylizeRequest)}
_PARAMETERS = frozenset(field.name for field in dataclasses.fields(Parameters))


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field of a row's request; its column in a manifest has the same name.

    Attributes:
        name: The field's name in `StylizeRequest`, if it has one there.
        kind: The type of its values.
        accepted: The values that the model accepts, with names of `Limits` in braces.
        otherwise: What a row without a value gets, with names of `Limits` in braces. None: the
            field's default in `StylizeRequest`.
        aliases: Other names of its column.
        makes_picture: True if a row can consist of this field alone.
        part_of: The field that the values of this column belong to. None: it is a field itself.
        is_recorded: True if records have a column for it.
        limits: The limits that only this field depends on; to be given if it was added later.
        no_default: Why the configuration can't give it a default. None: it can.
        counts_if: Returns True if a value changes the picture. None: any value other than the
            default does. For a field that was added later.
        title: The name that a report gives it. None: its own.
        option: The option of `uso generate`. None: made from the name.
        metavar: The name of the option's value. None: that of the kind.
        help: The description of the option. None: there is no such option.
    """

    name: str
    kind: Kind
    accepted: str
    otherwise: str | None = None
    aliases: tuple[str, ...] = ()
    makes_picture: bool = False
    part_of: str | None = None
    is_recorded: bool = True
    limits: tuple[str, ...] = ()
    no_default: str | None = None
    counts_if: Callable[[Any], bool] | None = None
    title: str | None = None
    option: str | None = None
    metavar: str | None = None
    help: str | None = None

    @property
    def default(self) -> Any:  # noqa: ANN401 (of any kind)
        """The value of a request that gives none."""
        return _DEFAULTS.get(self.name)

    @property
    def is_parameter(self) -> bool:
        """True if the value is one of `uso_core.request.Parameters`."""
        return self.name in _PARAMETERS

    def counts(self, value: Any) -> bool:  # noqa: ANN401 (of any kind)
        """Return True if a value changes the picture."""
        if value is None or self.counts_if is None:
            return bool(value != self.default)
        return self.counts_if(value)

    def range_text(self, limits: Limits) -> str:
        """Describe the accepted values."""
        return self.accepted.format(**dataclasses.asdict(limits))

    def default_text(self, limits: Limits) -> str:
        """Describe what a row without a value gets; empty for nothing."""
        if self.otherwise is not None:
            return self.otherwise.format(**dataclasses.asdict(limits))
        if isinstance(self.default, bool):
            return str(self.default).lower()
        if isinstance(self.default, int | float):
            return f"{self.default:g}"
        return '""' if self.default == "" else ""
