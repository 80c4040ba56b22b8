"""Writes docs/configuration.md from the docstrings of the configuration's models.

`python -m pipelines.config.page > docs/configuration.md`, or `make docs`. The docstring of a class
describes its section, and the docstring of an attribute its key; `docs/NAME.md` in a docstring
becomes a link.
"""

from __future__ import annotations

import ast
import inspect
import json
import re
import sys
import textwrap
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import pairwise
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from pipelines.config.accepted import AcceptedValues
from pipelines.config.key_paths import KeyPath
from pipelines.config.schema import RunConfig
from pipelines.config.strict import StrictModel

_WIDTH = 100
_LINK = re.compile(r"docs/(\w+)\.md(#[\w-]+)?")

_HEAD = """\
# Configuration

A run has one YAML file with one section per concern. Only `manifest.path` and `output.path` are
required. An unknown key is an error, and the message names the nearest known key. On the command
line, `--set section.key=value` overrides a key, with the value in YAML:
`--set stylize.actors=4 --set on_error.max_failed_fraction=0.01`.

Relative paths start at the folder in which the command runs. Where a default is missing, it is null
or empty.

**Secrets.** In the values of `storage`, `ray.env`, `notify.url`, `notify.secret`,
`fetch.http.proxy` and `fetch.http.headers`, `${NAME}` stands for an environment variable. It is
replaced when the value is used, so the secret never gets into records, logs or the run file. NAME
consists of A-Z, a-z, 0-9 and `_`, and does not begin with a digit; any other text after `${` is an
error. A `$` without a brace is plain text.

**Examples.** [demo](../configs/demo.yaml) · [one GPU machine](../configs/h200.yaml) ·
[float8](../configs/fp8.yaml) · [24 GB GPUs](../configs/low_vram.yaml) · [S3](../configs/s3.yaml) ·
[cluster](../configs/cluster.yaml)
"""


def page() -> str:
    """Return the page as Markdown."""
    accepted = AcceptedValues(RunConfig, quote=_code)
    sections = (
        "\n\n".join(_section(name, field, accepted))
        for name, field in RunConfig.model_fields.items()
    )
    return "\n".join([_HEAD, *(f"{section}\n" for section in sections)])


def _section(name: str, field: FieldInfo, accepted: AcceptedValues) -> Iterator[str]:
    """Yield the paragraphs of a section."""
    yield f"## `{name}`"
    model = _model_in(field.annotation)
    prose = inspect.cleandoc((model.__doc__ if model else _meanings(RunConfig).get(name)) or "")
    first, *others = prose.split("\n\n")
    yield _wrapped(first)
    if model is not None:
        yield _keys((name,), model, accepted)
    yield from (other if other.startswith("```") else _wrapped(other) for other in others)


def _keys(path: KeyPath, model: type[BaseModel], accepted: AcceptedValues) -> str:
    if not _meanings(model):
        names = ", ".join(map(_code, model.model_fields))
        return _wrapped(f"Keys, all null by default: {names}.")
    header = ("| key | accepts | default | meaning |", "|---|---|---|---|")
    return "\n".join([*header, *_rows(path, model, accepted)])


def _rows(
    path: KeyPath, model: type[BaseModel], accepted: AcceptedValues, prefix: str = ""
) -> Iterator[str]:
    """Yield the table rows of a section's keys, each with the keys inside it."""
    meanings = _meanings(model)
    for name, field in model.model_fields.items():
        key = (*path, name)
        default, shown = _default(field)
        cells = (
            _code(f"{prefix}{name}"),
            accepted.of(key, null=default is not None),
            shown,
            _linked(" ".join(meanings.get(name, "").split())),
        )
        yield f"| {' | '.join(cells)} |".replace("|  |", "| |")
        inner = _model_in(field.annotation)
        if inner is not None:
            in_list = accepted.of(key).startswith("a list")
            inner_path = (*key, 0) if in_list else key
            inner_prefix = f"{prefix}{name}{'[]' if in_list else ''}."
            yield from _rows(inner_path, inner, accepted, inner_prefix)


@cache
def _meanings(model: type[BaseModel]) -> Mapping[str, str]:
    """Return the docstrings of a model's attributes.

    Pydantic can keep them as the descriptions of fields. It then reads and parses the source of
    each class when the class is imported, and every command waits for it.
    """
    found: dict[str, str] = {}
    for each in reversed(model.__mro__):
        if issubclass(each, StrictModel):
            (definition,) = ast.parse(textwrap.dedent(inspect.getsource(each))).body
            assert isinstance(definition, ast.ClassDef)
            for node, after in pairwise(definition.body):
                if isinstance(node, ast.AnnAssign) and isinstance(after, ast.Expr):
                    assert isinstance(node.target, ast.Name)
                    found[node.target.id] = ast.literal_eval(after.value)
    return found


def _default(field: FieldInfo) -> tuple[Any, str]:
    """Return the default of a key, and its cell.

    The cell is empty for null and empty values, and for a section, whose keys have cells.
    """
    if field.is_required():
        return None, "required"
    value = field.get_default(call_default_factory=True, validated_data={})
    is_section = isinstance(value, BaseModel)
    return value, "" if is_section or value in (None, [], {}) else _code(json.dumps(value))


def _model_in(kind: Any) -> type[BaseModel] | None:  # noqa: ANN401 (any annotation)
    """Return the model in an annotation such as `list[Model]`, if there is one."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return kind
    return next(filter(None, map(_model_in, get_args(kind))), None)


def _code(text: str) -> str:
    return f"`{text}`"


def _linked(text: str) -> str:
    return _LINK.sub(lambda match: f"[{match[1]}]({match[1]}.md{match[2] or ''})", text)


def _wrapped(paragraph: str) -> str:
    return textwrap.fill(_linked(paragraph), _WIDTH, break_long_words=False, break_on_hyphens=False)


if __name__ == "__main__":
    sys.stdout.write(page())
