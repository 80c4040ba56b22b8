"""`uso init`: writes a commented configuration for a run, from an example of `configs/`."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import yaml

from jobs import exits, terminal
from jobs.example_configs import config_path
from pipelines.config.schema import RunConfig
from pipelines.errors import ConfigError
from uso_core.local_path import local_path

Machine = Literal["laptop", "gpu", "cluster"]

_PLAIN = re.compile(r"[\w./*~-][\w./:*~-]*")


@dataclass(frozen=True, slots=True)
class _Example:
    """An example, and the values that differ from it, by their lines in the file."""

    name: str
    about: str
    changed: tuple[tuple[str, str], ...] = ()


_EXAMPLES: dict[Machine, _Example] = {
    "laptop": _Example(
        "demo",
        "a small model on the CPU, which needs no download",
        ((r"fraction: 0.25 # .*", "fraction: 0.0 # more failed rows: exit code 3"),),
    ),
    "gpu": _Example(
        "h200",
        "the real weights on one large GPU",
        ((r"actors: \d+ # CHANGE: ", "actors: 1 # "),),
    ),
    "cluster": _Example("cluster", "the real weights on a Ray cluster"),
}
ABOUT: dict[Machine, str] = {name: example.about for name, example in _EXAMPLES.items()}
"""A description of each choice."""


def init_command(
    file: Path, machine: Machine, manifest: str, output: str, *, force: bool, as_json: bool
) -> int:
    """Write the configuration and return the exit code.

    Args:
        file: the YAML file to write.
        machine: the place of the run.
        manifest: the manifest of the run.
        output: the output of the run.
        force: replace an existing file.
        as_json: print one JSON object instead of text.
    """
    path = local_path(file)
    with exits.exit_on_error(ConfigError, OSError):
        if path.exists() and not force:
            raise ConfigError(f"{file}: already exists; use --force to replace it")
        text = configuration(file, machine, manifest, output)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        RunConfig.from_yaml(path)
    marked = [number for number, line in enumerate(text.splitlines(), 1) if "CHANGE" in line]
    if as_json:
        terminal.print_json({"path": str(path), "for": machine, "lines_to_change": marked})
        return exits.DONE
    shown = shlex.quote(terminal.one_line(str(file)))
    console = terminal.out()
    console.print(f"wrote   {shown}: {ABOUT[machine]}", soft_wrap=True)
    if marked:
        console.print(f"change  lines {', '.join(map(str, marked))}, marked CHANGE")
    console.print(f"next    uso validate {shown} --fetch 100", soft_wrap=True)
    console.print(f"        uso {'submit' if machine == 'cluster' else 'run'} {shown}")
    return exits.DONE


def configuration(file: Path, machine: Machine, manifest: str, output: str) -> str:
    """Return the text of a configuration."""
    example = _EXAMPLES[machine]
    text = config_path(example.name).read_text(encoding="utf-8")
    _, _, body = text.partition("\n\n")  # the head is about the example
    for section, value in (("manifest", manifest), ("output", output)):
        line = re.compile(rf"^({section}:\n  path: )\S+(.*)$", re.MULTILINE)
        body, count = line.subn(partial(_with_value, _scalar(value)), body)
        assert count == 1, (example.name, section)
        body = re.sub(rf"(?<=^{section}:\n)(  path: .*?) *# CHANGE:? ?", r"\1 # ", body, flags=re.M)
    for old, new in example.changed:
        body, count = re.subn(old, new, body)
        assert count == 1, (example.name, old)
    body = re.sub(r" +# *$", "", body, flags=re.MULTILINE)
    command = "submit" if machine == "cluster" else "run"
    name = shlex.quote(str(file))
    return (
        f"# A run with {example.about}. docs/configuration.md lists all keys.\n#\n"
        f"#   uso validate {name} --fetch all   # checks rows and images\n"
        f"#   uso plan {name}                   # estimates time and storage\n"
        f"#   uso {command} {name}              # again: it resumes\n\n{body}"
    )


def _with_value(value: str, line: re.Match[str]) -> str:
    return f"{line[1]}{value}{line[2]}"


def _scalar(text: str) -> str:
    """Return a text as YAML."""
    is_plain = _PLAIN.fullmatch(text) is not None and yaml.safe_load(text) == text
    return text if is_plain else json.dumps(text, ensure_ascii=False)
