"""The headers that users set for requests to a host."""

from __future__ import annotations

import httpx2

from pipelines.config.http import HttpConfig, host_headers

_PORTS = {"http": 80, "https": 443}


class HostHeaders:
    """The headers of `fetch.http`, with the variables in it resolved."""

    def __init__(self, config: HttpConfig) -> None:
        self._headers = config.headers
        self._every = {} if config.user_agent is None else {"user-agent": config.user_agent}

    def of(self, url: httpx2.URL, first: httpx2.URL) -> dict[str, str]:
        """Return the headers of a request.

        Each host gets its own headers only. After a redirect on the same host they are left out if
        they would be sent without TLS or to another port, where another program may listen.

        Args:
            url: the URL of the request.
            first: the URL that was asked for; differs from `url` after a redirect.
        """
        if not _is_safe(url, first):
            return dict(self._every)
        return self._every | host_headers(self._headers, _host(url), _port(url))


def _is_safe(url: httpx2.URL, first: httpx2.URL) -> bool:
    if first.scheme == "https" and url.scheme != "https":
        return False
    if _host(url) != _host(first) or _port(url) == _port(first):
        return True
    return first.scheme == "http" and (_port(first), _port(url)) == (80, 443)


def _host(url: httpx2.URL) -> str:
    return url.raw_host.decode("ascii").lower().strip("[]")


def _port(url: httpx2.URL) -> int:
    return url.port or _PORTS.get(url.scheme, 0)
