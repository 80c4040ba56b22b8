"""Options of `uso generate` for the fields of a row."""

from __future__ import annotations

import typer

from jobs.option_groups import Option, OptionTable
from pipelines.fields.field import Field
from pipelines.fields.table import FIELDS
from uso_core.request import Limits


def _option(field: Field) -> Option:
    flag = field.option or f"--{field.name.replace('_', '-')}"
    metavar = field.metavar or field.kind.metavar or None
    depends = field.kind.is_list or field.name in Limits().defaults  # on the model
    default = None if depends else field.default
    if default is not None:
        info = typer.Option(flag, metavar=metavar, help=field.help)
        return Option(field.name, field.kind.config, default, info)
    otherwise = field.default_text(Limits()) or False
    info = typer.Option(flag, metavar=metavar, help=field.help, show_default=otherwise)
    return Option(field.name, field.kind.config | None, None, info)


ROW_OPTIONS = OptionTable(
    "Image", tuple(_option(field) for field in FIELDS if field.help is not None)
)
"""The fields of `uso_core.request.StylizeRequest`, with references as paths or URIs."""
