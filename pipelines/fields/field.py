"""The description of one field of a row's request."""

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
    """A field of a row's request. Its column in a manifest has the same name.

    Attributes:
        name: the field's name in `uso_core.request.StylizeRequest`.
        kind: the type of the values.
        accepted: a description of the accepted values, with names of `Limits` in braces.
        otherwise: a description of the value that a row without one gets, with names of `Limits` in
            braces; None: the default in `StylizeRequest` describes itself.
        aliases: other names of the column.
        makes_picture: True if a row needs no other field.
        part_of: the field that gets this column's values; None: the column is a field itself.
        is_recorded: True if records have a column for the field.
        limits: the limits that no other field depends on, if the field was added later.
        no_default: the reason why the configuration has no default for it; None: it has one.
        counts_if: a function that returns True if a value changes the image, if the field was
            added later; None: every value but the default changes it.
        title: the title in a report; None: the name.
        option: the option of `uso generate`; None: derived from the name.
        metavar: the placeholder for the option's value; None: the placeholder of the kind.
        help: the option's help text; None: there is no option.
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
        """The value of a request that does not give one."""
        return _DEFAULTS.get(self.name)

    @property
    def is_parameter(self) -> bool:
        """True if the field is one of `uso_core.request.Parameters`."""
        return self.name in _PARAMETERS

    def counts(self, value: Any) -> bool:  # noqa: ANN401 (of any kind)
        """Return True if a value changes the image."""
        if value is None or self.counts_if is None:
            return bool(value != self.default)
        return self.counts_if(value)

    def range_text(self, limits: Limits) -> str:
        """Describe the accepted values."""
        return self.accepted.format(**dataclasses.asdict(limits))

    def default_text(self, limits: Limits) -> str:
        """Describe the value that a row without one gets; empty text for no value."""
        if self.otherwise is not None:
            return self.otherwise.format(**dataclasses.asdict(limits))
        if isinstance(self.default, bool):
            return str(self.default).lower()
        if isinstance(self.default, int | float):
            return f"{self.default:g}"
        return '""' if self.default == "" else ""
