"""`${NAME}`: one grammar, wherever a configuration may hold a secret."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from jobs.cluster.check import unset_on_cluster
from pipelines.config.plain_secrets import plain_secrets
from pipelines.config.redaction import MASK, redacted
from pipelines.config.schema import RunConfig
from pipelines.config.telemetry import NotifyConfig
from pipelines.config.variables import (
    MALFORMED,
    has_malformed_variable,
    is_variable,
    resolve_secrets,
    resolve_variables,
    variables_in,
)
from pipelines.telemetry.webhook import Receiver
from tests.pipelines.config.yaml_files import MINIMAL, problems

NOT_VARIABLES = [
    *("${1KEY}", "${}", "${A-B}", "${A", "${ A}", "${A }", "${Ä}", "${A:-b}", "${A\n}", "${${A}}"),
    *("x${1}y", "${A}${", "${A}-${2B}"),
]
PLAIN = ["$KEY", "$", "$$", "{A}", "a$b", "$(A)", "$ {A}", "}${A}", "$${A}", "${A}{", ""]

SECRET_KEYS = [
    ("storage.s3.key", "storage: {{s3: {{key: {}}}}}"),
    ("storage.s3.client_kwargs.hosts.1", "storage: {{s3: {{client_kwargs: {{hosts: [a, {}]}}}}}}"),
    ("storage.s3.list.0.0", "storage: {{s3: {{list: [[{}]]}}}}"),
    ("ray.env.TOKEN", "ray: {{env: {{HOME: a, TOKEN: {}}}}}"),
    ("notify.url", "notify: {{url: {}}}"),
    ("notify.secret", "notify: {{secret: {}}}"),
]


def config(**sections: Any) -> RunConfig:
    return RunConfig.model_validate(
        {"manifest": {"path": "m.parquet"}, "output": {"path": "out"}, **sections}
    )


@pytest.mark.parametrize("name", ["A", "a", "_", "_1", "AWS_KEY_2", "a" * 99])
def test_names(name: str) -> None:
    assert is_variable(f"${{{name}}}")
    assert variables_in(f"x-${{{name}}}-${{B}}") == [name, "B"]
    assert not has_malformed_variable(f"${{{name}}}")


@pytest.mark.parametrize("text", NOT_VARIABLES)
def test_malformed_variables(text: str) -> None:
    assert has_malformed_variable(text)
    assert not is_variable(text)
    with pytest.raises(ValueError, match=r"^notify\.secret: contains a malformed variable"):
        resolve_variables(text, "notify.secret")


@pytest.mark.parametrize("text", PLAIN)
def test_other_dollar_signs_are_plain_text(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("A", "${B} $C ${2}")
    assert not has_malformed_variable(text)
    assert resolve_variables(text, "k") == text.replace("${A}", "${B} $C ${2}")


# In a file, and with --set


@pytest.mark.parametrize(("key", "line"), SECRET_KEYS)
@pytest.mark.parametrize("text", ["${1KEY}", "${}", "${A-B}", "s3same${A"])
def test_a_malformed_variable_is_an_error_that_does_not_show_it(
    file: Path, key: str, line: str, text: str
) -> None:
    assert problems(file, MINIMAL + line.format(f'"{text}"')) == [f"{key}: {MALFORMED}"]


@pytest.mark.parametrize(
    "key", ["storage.s3.key", "ray.env.TOKEN", "notify.url", "notify.secret", "storage.a.b.c.d"]
)
def test_a_malformed_variable_from_set(file: Path, key: str) -> None:
    assert problems(file, MINIMAL, f"{key}=${{1KEY}}") == [f"{key} (from --set): {MALFORMED}"]


def test_every_malformed_variable_is_reported_beside_others(file: Path) -> None:
    text = (
        MINIMAL
        + "storage: {s3: {key: '${S3_KEY}', secret: '${S3-SECRET}', more: [{x: '${2}'}, '${B}']}}\n"
        + "ray: {env: {A: '${A}', B: '${B'}}\n"
    )
    assert {line.partition(":")[0] for line in problems(file, text)} == {
        *("storage.s3.secret", "storage.s3.more.0.x", "ray.env.B")
    }


def test_in_a_section_without_secrets_the_text_is_shown(file: Path) -> None:
    (found,) = problems(file, MINIMAL + "defaults: {prompt: 'costs ${5}'}")
    assert found.startswith(f"defaults.prompt: 'costs ${{5}}' {MALFORMED}, and it is replaced in ")


@pytest.mark.parametrize("text", ["${A}", "${1A}", "x-${"])
@pytest.mark.parametrize(
    ("key", "line"),
    [
        ("storage.s3.{}", 'storage: {{s3: {{"{}": x}}}}'),
        ("storage.s3.l.0.{}", 'storage: {{s3: {{l: [{{"{}": x}}]}}}}'),
        ("ray.env.{}", 'ray: {{env: {{"{}": x}}}}'),
    ],
)
def test_a_key_with_a_variable_is_an_error(file: Path, key: str, line: str, text: str) -> None:
    assert problems(file, MINIMAL + line.format(text)) == [
        f"{key.format(text)}: variables are replaced in values only, not in keys"
    ]


def test_dollar_signs_in_a_file(file: Path) -> None:
    file.write_text(MINIMAL + "storage: {s3: {a: $KEY, b: 'p$$', c: '${A}'}}\n", encoding="utf-8")
    assert RunConfig.from_yaml(file).storage["s3"] == {"a": "$KEY", "b": "p$$", "c": "${A}"}


# In a configuration that Python code builds


def test_a_malformed_variable_never_becomes_the_signing_key() -> None:
    with pytest.raises(ValidationError, match="name an environment variable"):
        NotifyConfig(url="https://h", secret="${1KEY}")
    unchecked = NotifyConfig.model_construct(url="https://h", secret="${1KEY}")
    with pytest.raises(ValueError, match=r"^notify\.secret: contains a malformed variable"):
        Receiver.from_config(unchecked)


def test_a_malformed_variable_counts_as_text_for_secrets() -> None:
    wrong = config(storage={"s3": {"key": "${1KEY}", "secret": "${KEY}"}})
    assert redacted(wrong)["storage"]["s3"] == {"key": MASK, "secret": "${KEY}"}
    assert plain_secrets(wrong) == ["storage.s3.key"]
    assert unset_on_cluster(wrong, []) == ["KEY"]


# Values from the environment


def test_values_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USO_TEST_KEY", "k3y")
    options = {"s3": {"key": "${USO_TEST_KEY}", "n": 3, "client": {"hosts": ["a-${USO_TEST_KEY}"]}}}
    assert resolve_secrets(options) == {
        "s3": {"key": "k3y", "n": 3, "client": {"hosts": ["a-k3y"]}}
    }


@pytest.mark.parametrize(
    ("value", "key"),
    [
        ("${USO_TEST_KEY}", "storage.s3.a"),
        ({"b": "${USO_TEST_KEY}"}, "storage.s3.a.b"),
        ({"b": ["x", {"c": "${USO_TEST_KEY}"}]}, "storage.s3.a.b.1.c"),
    ],
)
def test_a_variable_that_is_not_set_is_named_with_its_key(
    monkeypatch: pytest.MonkeyPatch, value: object, key: str
) -> None:
    monkeypatch.delenv("USO_TEST_KEY", raising=False)
    message = f"{key}: the environment variable USO_TEST_KEY is not set; export USO_TEST_KEY=…"
    with pytest.raises(ValueError, match="is not set") as caught:
        resolve_secrets({"s3": {"a": value}})
    assert str(caught.value) == message
