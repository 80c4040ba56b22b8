"""Proxies and headers in a configuration, and their secrets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pipelines.config.http import HttpConfig
from pipelines.config.plain_secrets import plain_secrets
from pipelines.config.redaction import redacted
from pipelines.config.schema import RunConfig, load_config
from pipelines.errors import ConfigError
from pipelines.worker.spec import StylizerSpec


def config(**http: Any) -> RunConfig:
    return RunConfig.model_validate(
        {"manifest": {"path": "m"}, "output": {"path": "o"}, "fetch": {"http": http}}
    )


@pytest.mark.parametrize(
    ("http", "message"),
    [
        (
            {"proxy": "socks5://p:1"},
            "fetch.http.proxy: is not a proxy; give http://HOST",
        ),
        ({"proxy": "p:3128"}, "fetch.http.proxy: is not a proxy"),
        ({"proxy": "http://p/path?x"}, "fetch.http.proxy: is not a proxy"),
        ({"proxy": "${1X}"}, "fetch.http.proxy: contains a malformed variable"),
        ({"user_agent": "a\nb"}, "fetch.http.user_agent: has characters"),
        ({"user_agent": ""}, "fetch.http.user_agent: has characters"),
        ({"headers": {"https://h": {}}}, "fetch.http.headers: 'https://h' is not a host"),
        ({"headers": {"h/x": {}}}, "'h/x' is not a host"),
        ({"headers": {"h": {"A B": "${T}"}}}, "h.A B: is not the name of a header"),
        ({"headers": {"h": {"Host": "${T}"}}}, "h.Host: is set for each request"),
        ({"headers": {"h": {"Authorization": "hidden"}}}, "h.Authorization: may be a secret"),
        ({"headers": {"h": {"x-key": "hidden"}}}, "write ${NAME}"),
        ({"headers": {"h": {"X-K": "${T}", "x-k": "${T}"}}}, "h.X-K: is given twice"),
        ({"headers": {"h": {"X-K": 5}}}, "fetch.http.headers.h.X-K: a value of type int"),
        ({"headers": {"h": "hidden"}}, "fetch.http.headers.h: a value of type str"),
    ],
)
def test_mistakes_are_named_without_the_value(
    tmp_path: Path, http: dict[str, Any], message: str
) -> None:
    path = tmp_path / "run.yaml"
    sections = {"manifest": {"path": "m"}, "output": {"path": "o"}, "fetch": {"http": http}}
    path.write_text(json.dumps(sections), encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert message in str(caught.value)
    assert "hidden" not in str(caught.value)


def test_variables_are_resolved_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("T", "s3cret ${X}")
    monkeypatch.setenv("P", "http://u:p@proxy:1")
    given = config(proxy="${P}", headers={"h": {"Authorization": "Bearer ${T}"}})
    spec = StylizerSpec.from_config(given)
    assert spec.fetch.http.proxy == "http://u:p@proxy:1"
    assert spec.fetch.http.headers == {"h": {"Authorization": "Bearer s3cret ${X}"}}
    assert "s3cret" not in repr(spec)
    assert "u:p" not in repr(spec)
    assert "s3cret" not in str(redacted(given))


@pytest.mark.parametrize(
    ("http", "value", "message"),
    [
        ({"proxy": "${V}"}, None, "fetch.http.proxy: the environment variable V is not set"),
        ({"proxy": "${V}"}, "hidden", "fetch.http.proxy: its value is not http://HOST:PORT"),
        ({"headers": {"h": {"X": "${V}"}}}, None, "fetch.http.headers.h.X: the environment"),
        ({"headers": {"h": {"X": "${V}"}}}, "hidden\r\nY: 1", "fetch.http.headers.h.X: its value"),
        ({"headers": {"h": {"X": "${V}"}}}, "", "fetch.http.headers.h.X: its value is empty"),
        ({"headers": {"h": {"X": "${V}"}}}, "hidden\n", "fetch.http.headers.h.X: its value"),
    ],
)
def test_values_that_cannot_be_used_are_named(
    monkeypatch: pytest.MonkeyPatch, http: dict[str, Any], value: str | None, message: str
) -> None:
    monkeypatch.delenv("V", raising=False)
    if value is not None:
        monkeypatch.setenv("V", value)
    with pytest.raises(ValueError, match=r"V is not set|its value") as caught:
        HttpConfig.model_validate(http).resolved()
    assert str(caught.value).startswith(message)
    assert "hidden" not in str(caught.value)


def test_a_shown_configuration_has_no_secret() -> None:
    shown = redacted(
        config(
            proxy="http://me:hidden@proxy:3128",
            user_agent="mine",
            headers={"h": {"Referer": "https://h/", "X-A": "Token ${A}", "X-B": "a=hidden ${B}"}},
        )
    )["fetch"]["http"]
    assert shown == {
        "proxy": "http://proxy:3128",
        "user_agent": "mine",
        "headers": {"h": {"Referer": "https://h/", "X-A": "Token ${A}", "X-B": "***"}},
    }


def test_only_a_proxy_with_a_password_is_a_plain_secret() -> None:
    assert plain_secrets(config(proxy="http://proxy:3128")) == []
    assert plain_secrets(config(proxy="environment")) == []
    assert plain_secrets(config(proxy="http://me:pw@proxy:3128")) == ["fetch.http.proxy"]
    assert plain_secrets(config(proxy="${PROXY}")) == []
    own = {"Referer": "https://h/", "X": "${X}", "Authorization": "Bearer ${X}"}
    assert plain_secrets(config(headers={"h": own})) == []
    half = {"h": {"X": "half${X}", "Y": "half of it ${X}"}}
    assert plain_secrets(config(headers=half)) == [
        "fetch.http.headers.h.X",
        "fetch.http.headers.h.Y",
    ]
