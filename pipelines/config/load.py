"""Reads a configuration: a YAML file with `--set` overrides, checked against a model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from pipelines.config.key_paths import SECRET_SECTIONS, KeyPath, is_secret, key_name
from pipelines.config.messages import problems_of
from pipelines.config.variables import MALFORMED, has_malformed_variable, variables_in
from pipelines.display import display_value
from pipelines.errors import ConfigError
from uso_core.local_path import local_path, tried_path

Model = TypeVar("Model", bound=BaseModel)

_REPLACED = ", ".join(map(key_name, SECRET_SECTIONS))
_MAX_VALUES = 10_000
_MAX_DEPTH = 20


def load(
    model: type[Model],
    given: str | PathLike[str] | Mapping[str, Any],
    overrides: Sequence[str] = (),
) -> Model:
    """Read a YAML file as a `model`, with overrides.

    Args:
        model: the model of the whole file.
        given: the path of the YAML file, or the content of such a file as a mapping.
        overrides: `a.b=c` each, applied in order. A value is parsed as YAML; one that is not valid
            YAML, or that YAML would cut at a comment, is text, so that `manifest.path=*.parquet`
            and `output.path=run #1` need no quotes. An empty value is null.

    Raises:
        ConfigError: the file cannot be read, or does not fit the model; the message lists every
            problem with its key and the accepted values.
    """
    source, data = _content(given)
    changed = [_override(data, override) for override in overrides]
    problems = dict(_problems_in(source, data))
    # YAML reads a section as null when all its lines are commented out.
    sections = {name: value for name, value in data.items() if value is not None}
    try:
        config = model.model_validate(sections)
    except ValidationError as error:
        problems = {**dict(problems_of(error, sections, model)), **problems}
    else:
        if not problems:
            return config
    raise ConfigError.of(
        source, [_sentence(key, problem, changed) for key, problem in problems.items()]
    )


def _sentence(path: KeyPath, problem: str, changed: Sequence[KeyPath]) -> str:
    if not path:  # about several sections, which the problem names
        return problem
    by_option = any(path[: len(key)] == key[: len(path)] for key in changed)
    return f"{key_name(path)}{' (from --set)' if by_option else ''}: {problem}"


def _content(given: object) -> tuple[str, dict[str, Any]]:
    """Return the name of the source, for messages, and its values."""
    if isinstance(given, Mapping):
        return "the configuration", {key: _plain(value) for key, value in given.items()}
    if isinstance(given, str | PathLike):
        path = fspath(given)
        return path, _read(local_path(path), path)
    raise ConfigError(
        f"the configuration: {type(given).__name__} is not accepted; give the path of a YAML file "
        "or a mapping of sections"
    )


def _plain(value: Any) -> Any:  # noqa: ANN401 (any value of a mapping)
    """Return a value of Python code as a YAML file would hold it: paths are text."""
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return fspath(value) if isinstance(value, PathLike) else value


def _read(path: Path, source: str) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        where = tried_path(source)
        raise ConfigError(f"{source}: cannot be read ({error.strerror}){where}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{source}: is not UTF-8 at byte {error.start}") from error
    try:
        data = _parse(text)
    except yaml.MarkedYAMLError as error:
        raise ConfigError(f"{source}: {_yaml_problem(error, text)}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{source}: contains characters that YAML does not allow") from error
    except RecursionError as error:
        raise ConfigError(f"{source}: is nested too deeply") from error
    if not isinstance(data, dict):
        raise ConfigError(f"{source}: is not a mapping; begin with a section, e.g. `manifest:`")
    return data


def _yaml_problem(error: yaml.MarkedYAMLError, text: str) -> str:
    mark = error.problem_mark
    if mark is None:
        return str(error.problem)
    problem = f"line {mark.line + 1}, column {mark.column + 1}: {error.problem}"
    lines = text.splitlines()
    if mark.line < len(lines) and "${" in lines[mark.line]:
        problem += '; within {...}, write "${NAME}" in quotes'
    return problem


def _parse(text: str) -> Any:  # noqa: ANN401 (any YAML value)
    return yaml.load(text, _Loader)  # noqa: S506 (it is a SafeLoader)


class _Loader(yaml.SafeLoader):
    """A YAML loader that rejects duplicate keys and gives every error a line."""

    def compose_mapping_node(self, anchor: dict[Any, yaml.Node]) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen: set[tuple[str, str]] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            if (key.tag, key.value) in seen:
                problem = f"the key {key.value!r} is given twice"
                raise yaml.composer.ComposerError(None, None, problem, key.start_mark)
            seen.add((key.tag, key.value))
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:  # noqa: ANN401
        try:
            return super().construct_object(node, deep)
        except (ValueError, KeyError) as error:  # 2024-13-01, `!!bool maybe`
            kind = node.tag.rpartition(":")[2]
            problem = f"not a valid {kind}; if it is text, put it in quotes"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark) from error


def _override(data: dict[str, Any], override: str) -> KeyPath:
    """Apply one `a.b=c` to `data`, and return ("a", "b")."""
    name, equals, written = override.partition("=")
    path = tuple(name.strip().split("."))
    if not equals or not all(path):
        raise ConfigError(f"--set: {display_value(override)} does not have the form a.b=c")
    section = data
    for depth, key in enumerate(path[:-1], 1):
        if section.get(key) is None:
            section[key] = {}
        section = section[key]
        if not isinstance(section, dict):
            raise ConfigError(f"--set {name}: {key_name(path[:depth])} is not a section")
    section[path[-1]] = _value(written)
    return path


def _value(written: str) -> Any:  # noqa: ANN401 (any YAML value)
    """Parse the text after `=` as YAML, or keep it as text if YAML cannot read all of it."""
    try:
        node = yaml.compose(written, _Loader)
        value = _parse(written)
    except (yaml.YAMLError, RecursionError):
        return written
    left = written if node is None else written[node.end_mark.index :]
    return written if left.strip() else value


def _problems_in(source: str, data: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str]]:
    """Yield the keys that are not strings, and the variables that would not be replaced."""
    for count, (path, value, in_list) in enumerate(_values(data)):
        if count == _MAX_VALUES:
            raise ConfigError(f"{source}: contains more than {_MAX_VALUES:,} values")
        if len(path) > _MAX_DEPTH:
            raise ConfigError(f"{source}: is nested too deeply")
        problem = None if in_list else _key_problem(path[-1])
        if problem is None and isinstance(value, str):
            problem = _variable_problem(path, value)
        if problem is not None:
            yield path, problem


def _key_problem(key: object) -> str | None:
    if not isinstance(key, str):
        return "this key must be a string; put it in quotes"
    return "variables are replaced in values only, not in keys" if "${" in key else None


def _variable_problem(path: KeyPath, text: str) -> str | None:
    if is_secret(path):
        return MALFORMED if has_malformed_variable(text) else None
    if has_malformed_variable(text):
        return f"{display_value(text)} {MALFORMED}, and it is replaced in {_REPLACED} only"
    if variables_in(text):
        return (
            f"{display_value(text)}: ${{NAME}} is replaced in {_REPLACED} only; "
            f"write the value itself, or use --set {key_name(path)}=…"
        )
    return None


def _values(data: Mapping[str, Any]) -> Iterator[tuple[KeyPath, Any, bool]]:
    """Yield each value, sections too, with its path and whether it is an item of a list.

    The iterator is endless if YAML anchors form a circle.
    """
    open_sections: list[tuple[KeyPath, Any]] = [((), data)]
    while open_sections:
        path, section = open_sections.pop()
        items = section.items() if isinstance(section, dict) else enumerate(section)
        for key, value in items:
            yield (*path, key), value, isinstance(section, list)
            if isinstance(value, dict | list):
                open_sections.append(((*path, key), value))
