"""The proxy through which a URL is fetched."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from pipelines.config.http import ENVIRONMENT


@dataclass(frozen=True)
class Proxies:
    """Proxies by the scheme of a URL, and the hosts that are reached directly.

    Attributes:
        by_scheme: proxies for `http` and `https`; a scheme without one is reached directly.
        direct: entries of NO_PROXY: hosts, domains, addresses, networks, each maybe with a port.
    """

    by_scheme: Mapping[str, str] = field(default_factory=dict, repr=False)
    direct: tuple[str, ...] = ()

    @classmethod
    def of(cls, setting: str | None) -> Proxies:
        """Return the proxies of `fetch.http.proxy`, with its variables resolved."""
        if setting is None:
            return cls()
        no_proxy = _variable("no_proxy", "NO_PROXY") or ""
        direct = tuple(filter(None, (entry.strip().lower() for entry in no_proxy.split(","))))
        if setting == ENVIRONMENT:
            return cls(environment_proxies(), direct)
        return cls({"http": setting, "https": setting}, direct)

    def of_url(self, scheme: str, host: str, port: int) -> str | None:
        """Return the URL of the proxy, or None if the host is reached directly.

        Args:
            scheme: `http` or `https`.
            host: in lower case, without brackets.
            port: the port.
        """
        if any(_matches(entry, host, port) for entry in self.direct):
            return None
        return self.by_scheme.get(scheme)


def environment_proxies() -> dict[str, str]:
    """Return the proxies that the environment names, by scheme."""
    # Only in lower case, as in curl: a web server turns the header Proxy into HTTP_PROXY for CGI.
    cgi = "REQUEST_METHOD" in os.environ
    http = _variable("http_proxy", *(() if cgi else ("HTTP_PROXY",)))
    https = _variable("https_proxy", "HTTPS_PROXY")
    every = _variable("all_proxy", "ALL_PROXY")
    found = {"http": http or every, "https": https or every}
    return {scheme: _with_scheme(proxy) for scheme, proxy in found.items() if proxy}


def _variable(*names: str) -> str | None:
    return next((os.environ[name] for name in names if os.environ.get(name)), None)


def _with_scheme(proxy: str) -> str:
    return proxy if "://" in proxy else f"http://{proxy}"


def _matches(entry: str, host: str, port: int) -> bool:
    if entry == "*":
        return True
    name, colon, wanted = entry.rpartition(":")
    if colon and wanted.isdecimal() and (":" not in name or name.endswith("]")):
        if int(wanted) != port:
            return False
        entry = name
    entry = entry.strip("[]")
    address = _address(host)
    if address is not None:
        try:
            return address in ipaddress.ip_network(entry, strict=False)
        except ValueError:
            return False
    domain = entry.removeprefix("*").lstrip(".")
    return bool(domain) and (host == domain or host.endswith(f".{domain}"))


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
