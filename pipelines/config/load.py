"""One YAML file, and what `--set` changes in it, as a `RunConfig`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from pipelines.config.messages import SECRET_SECTIONS, KeyPath, is_secret, key_name, problems_of
from pipelines.config.schema import RunConfig
from pipelines.display import display_value
from pipelines.errors import ConfigError

_VARIABLE = re.compile(r"\$\{\w+\}")
_REPLACED = ", ".join(map(key_name, SECRET_SECTIONS))
_MAX_VALUES = 10_000
_MAX_DEPTH = 20


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> RunConfig:
    """The configuration in a file, with `overrides` put over it.

    Args:
        path: a YAML file.
        overrides: each `a.b=c`. The value is read as YAML; what is not valid YAML counts as text,
            and so does what YAML would take for a comment, so that `manifest.path=*.parquet` and
            `output.path=run #1` mean what they say; nothing after `=` means null.

    Raises:
        ConfigError: the file cannot be read, or something in it is not accepted.
    """
    source = str(path)
    data = _read(Path(path), source)
    changed = [_override(data, override) for override in overrides]
    problems = list(_misplaced(source, data))
    # A section of which every line is commented out is null in YAML.
    sections = {name: value for name, value in data.items() if value is not None}
    try:
        config = RunConfig.model_validate(sections)
    except ValidationError as error:
        problems += problems_of(error, sections, RunConfig)
    else:
        if not problems:
            return config
    raise ConfigError.of(source, [_sentence(path, what, changed) for path, what in problems])


def _sentence(path: KeyPath, what: str, changed: Sequence[KeyPath]) -> str:
    by_option = any(path[: len(key)] == key[: len(path)] for key in changed)
    return f"{key_name(path)}{' (from --set)' if by_option else ''}: {what}"


def _read(path: Path, source: str) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{source}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{source}: is not UTF-8 at byte {error.start}") from error
    try:
        data = _parse(text)
    except yaml.MarkedYAMLError as error:
        raise ConfigError(f"{source}: {_yaml_problem(error, text)}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{source}: holds characters that YAML does not allow") from error
    except RecursionError as error:
        raise ConfigError(f"{source}: is nested too deeply") from error
    if not isinstance(data, dict):
        raise ConfigError(f"{source}: is no mapping; it begins with e.g. `manifest:`")
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
    """YAML takes the last of two equal keys; here they are an error, and each error has a line."""

    def compose_mapping_node(self, anchor: dict[Any, yaml.Node]) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen: set[tuple[str, str]] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            if (key.tag, key.value) in seen:
                problem = f"the key {key.value!r} is there twice"
                raise yaml.composer.ComposerError(None, None, problem, key.start_mark)
            seen.add((key.tag, key.value))
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:  # noqa: ANN401
        try:
            return super().construct_object(node, deep)
        except (ValueError, KeyError) as error:  # 2024-13-01, `!!bool maybe`
            kind = node.tag.rpartition(":")[2]
            problem = f"this is no {kind}; put it in quotes if it is text"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark) from error


def _override(data: dict[str, Any], override: str) -> KeyPath:
    """Put one `a.b=c` into `data`; returns ("a", "b")."""
    name, equals, written = override.partition("=")
    path = tuple(name.strip().split("."))
    if not equals or not all(path):
        raise ConfigError(f"--set: {display_value(override)} is not of the form a.b=c")
    section = data
    for depth, key in enumerate(path[:-1], 1):
        if section.get(key) is None:
            section[key] = {}
        section = section[key]
        if not isinstance(section, dict):
            raise ConfigError(f"--set {name}: {key_name(path[:depth])} is no section")
    section[path[-1]] = _value(written)
    return path


def _value(written: str) -> Any:  # noqa: ANN401 (any YAML value)
    """What is written after `=`, as YAML; as text where it is none, or would end at a comment."""
    try:
        node = yaml.compose(written, _Loader)
        value = _parse(written)
    except (yaml.YAMLError, RecursionError):
        return written
    left = written if node is None else written[node.end_mark.index :]
    return written if left.strip() else value


def _misplaced(source: str, data: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str]]:
    """Keys that are not text, and `${NAME}` where it would not be replaced."""
    for count, (path, value) in enumerate(_values(data)):
        if count == _MAX_VALUES:
            raise ConfigError(f"{source}: holds more than {_MAX_VALUES:,} values")
        if len(path) > _MAX_DEPTH:
            raise ConfigError(f"{source}: is nested too deeply")
        if not isinstance(path[-1], str | int) or isinstance(path[-1], bool):
            yield path, "this key is no text; put it in quotes"
        if isinstance(value, str) and _VARIABLE.search(value) and not is_secret(path):
            yield (
                path,
                f"{display_value(value)}: ${{NAME}} is replaced in {_REPLACED} only; "
                f"write the value itself, or use --set {key_name(path)}=…",
            )


def _values(data: Mapping[str, Any]) -> Iterator[tuple[KeyPath, Any]]:
    """Every value with its key, sections included; without end where YAML anchors form a circle."""
    open_sections: list[tuple[KeyPath, Any]] = [((), data)]
    while open_sections:
        path, section = open_sections.pop()
        items = section.items() if isinstance(section, dict) else enumerate(section)
        for key, value in items:
            yield (*path, key), value
            if isinstance(value, dict | list):
                open_sections.append(((*path, key), value))
