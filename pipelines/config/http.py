"""The section `fetch.http`: proxies and headers of requests for reference images."""

from __future__ import annotations

import re
from collections.abc import Mapping

from pydantic import Field, field_validator

from pipelines.config.strict import StrictModel
from pipelines.config.variables import is_variable, resolve_variables, variables_in

ENVIRONMENT = "environment"
_PROXY = re.compile(r"https?://[^\s/?#]+/?", re.IGNORECASE)
_HOST = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^\s:/@\[\]]+)(:\d{1,5})?")
_LONGEST_SCHEME = 12
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_VALUE = re.compile(r"[\x20-\x7e\x80-\xff]*")
PUBLIC_HEADERS = frozenset({"user-agent", "referer", "origin", "accept", "accept-language"})
"""Headers that hold no secret, in lower case."""
_OWN_HEADERS = frozenset(
    {
        *("host", "connection", "content-length", "transfer-encoding", "accept-encoding"),
        *("te", "upgrade", "expect", "trailer", "proxy-authorization", "proxy-connection"),
    }
)


class HttpConfig(StrictModel):
    """Requests for http(s) references: their proxy and their headers."""

    proxy: str | None = Field(None, repr=False)
    """Proxy for http(s) references: `http://HOST:PORT`, or `environment` for HTTP_PROXY,
    HTTPS_PROXY and ALL_PROXY. Hosts in NO_PROXY are reached directly. See docs/proxies.md."""
    user_agent: str | None = None
    """The User-Agent header. Default: one that names uso-batch."""
    headers: dict[str, dict[str, str]] = Field(default_factory=dict, repr=False)
    """Further headers by host or `HOST:PORT`, with secrets as `${NAME}`. They are not sent to
    another host after a redirect. See docs/proxies.md#headers-for-a-host."""

    @field_validator("proxy")
    @classmethod
    def _is_proxy(cls, proxy: str | None) -> str | None:
        if proxy in (None, ENVIRONMENT) or variables_in(proxy) or _PROXY.fullmatch(proxy):
            return proxy
        raise ValueError(
            f"is not a proxy; give http://HOST:PORT, https://HOST:PORT or {ENVIRONMENT}"
        )

    @field_validator("user_agent")
    @classmethod
    def _is_value(cls, text: str | None) -> str | None:
        if text is not None and not (text.strip() and _VALUE.fullmatch(text)):
            raise ValueError("has characters that a header cannot have")
        return text

    @field_validator("headers")
    @classmethod
    def _are_headers(cls, headers: dict[str, dict[str, str]]) -> dict[str, dict[str, str]]:
        for host, own in headers.items():
            if _HOST.fullmatch(host) is None:
                raise ValueError(
                    f"{host!r} is not a host; give HOST or HOST:PORT, without a scheme"
                )
            names = [name.lower() for name in own]
            for name, value in own.items():
                _check_header(f"{host}.{name}", name, value)
                if names.count(name.lower()) > 1:
                    raise ValueError(f"{host}.{name}: is given twice; give it once")
        return headers

    def resolved(self) -> HttpConfig:
        """Return the same settings with the values of their variables.

        Raises:
            ValueError: a variable is not set, or its value cannot be used; the message names the
                key, and shows no secret.
        """
        proxy = resolve_variables(self.proxy, "fetch.http.proxy")
        if proxy not in (None, ENVIRONMENT) and _PROXY.fullmatch(proxy) is None:
            raise ValueError("fetch.http.proxy: its value is not http://HOST:PORT")
        headers = resolve_variables(self.headers, "fetch.http.headers")
        for host, own in headers.items():
            for name, value in own.items():
                if not (value and _VALUE.fullmatch(value) and value == value.strip()):
                    raise ValueError(
                        f"fetch.http.headers.{host}.{name}: its value is empty, begins or ends "
                        "with a space, or has characters that a header cannot have"
                    )
        return self.model_copy(update={"proxy": proxy, "headers": headers})


def _check_header(key: str, name: str, value: str) -> None:
    if _NAME.fullmatch(name) is None:
        raise ValueError(f"{key}: is not the name of a header")
    if name.lower() in _OWN_HEADERS:
        raise ValueError(f"{key}: is set for each request and cannot be given; leave it out")
    if name.lower() not in PUBLIC_HEADERS and not variables_in(value):
        raise ValueError(
            f"{key}: may be a secret, and this file is copied; set an environment variable and "
            "write ${NAME}"
        )


def is_public_setting(name: str, value: str) -> bool:
    """Return True if a setting may be shown, such as `Bearer ${NAME}` or a proxy.

    The password of a proxy is left out elsewhere.

    Args:
        name: the key, or the name of the header.
        value: the value before variables are replaced.
    """
    before, _, variable = value.rpartition(" ")
    is_scheme = not before or (before.isalpha() and len(before) <= _LONGEST_SCHEME)
    is_public = name == "proxy" or name.lower() in PUBLIC_HEADERS
    return is_public or (is_scheme and is_variable(variable))


def host_headers(headers: Mapping[str, Mapping[str, str]], host: str, port: int) -> dict[str, str]:
    """Return the headers for a host by name in lower case; those for its port count more.

    Args:
        headers: the headers of each `HOST` or `HOST:PORT`.
        host: in lower case, without brackets.
        port: the port.
    """
    found: dict[str, str] = {}
    named = f"[{host}]" if ":" in host else host
    by_key = {key.lower(): own for key, own in headers.items()}
    for key in (named, f"{named}:{port}"):
        own = by_key.get(key, {})
        found |= {name.lower(): value for name, value in own.items()}
    return found
