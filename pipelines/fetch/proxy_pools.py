"""Connections through proxies."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

import httpcore2

from pipelines.fetch.proxies import Proxies

_DENIED = ("401", "403", "407")


class ProxyFailedError(Exception):
    """A proxy cannot be used.

    Attributes:
        proxy: its URL without credentials.
        reason: the cause.
        may_pass: True if a retry may succeed.
    """

    def __init__(self, proxy: str, reason: str, *, may_pass: bool) -> None:
        super().__init__(proxy, reason)
        self.proxy = proxy
        self.reason = reason
        self.may_pass = may_pass


class ProxyPools:
    """A pool of connections for each proxy; safe to share between threads."""

    def __init__(
        self, proxies: Proxies, backend: httpcore2.NetworkBackend, options: Mapping[str, Any]
    ) -> None:
        """Create no connection yet.

        Args:
            proxies: the proxies.
            backend: connects to proxies.
            options: options of httpcore2's pools.
        """
        self._proxies = proxies
        self._backend = backend
        self._options = options
        self._lock = threading.Lock()
        self._pools: dict[str, httpcore2.HTTPProxy] = {}

    def proxy_of(self, url: httpcore2.URL) -> str | None:
        """Return the URL of the proxy for a request, or None if it is sent directly."""
        host = url.host.decode("ascii").lower().strip("[]")
        return self._proxies.of_url(url.scheme.decode("ascii"), host, url.origin.port)

    def send(self, request: httpcore2.Request, proxy: str) -> httpcore2.Response:
        """Send a request through a proxy.

        Raises:
            ProxyFailedError: the proxy cannot be reached, or refuses the connection.
        """
        shown = _without_user(proxy)
        try:
            response = self._pool(proxy).handle_request(request)
        except httpcore2.ProxyError as error:
            status = str(error)[:100]
            may_pass = not status.startswith(_DENIED)
            raise ProxyFailedError(shown, f"it answered {status}", may_pass=may_pass) from error
        except httpcore2.ConnectError as error:
            if error.args and isinstance(error.args[0], ssl.SSLError):
                raise  # the TLS of the host, inside the tunnel
            raise ProxyFailedError(shown, str(error), may_pass=True) from error
        if response.status == int(_DENIED[-1]):
            response.close()
            raise ProxyFailedError(shown, f"it answered {response.status}", may_pass=False)
        return response

    def close(self) -> None:
        """Close all connections."""
        for pool in self._pools.values():
            pool.close()

    def _pool(self, proxy: str) -> httpcore2.HTTPProxy:
        with self._lock:
            if proxy not in self._pools:
                self._pools[proxy] = self._opened(proxy)
            return self._pools[proxy]

    def _opened(self, proxy: str) -> httpcore2.HTTPProxy:
        parts = urlsplit(proxy)
        if parts.scheme not in ("http", "https"):
            reason = f"{parts.scheme}: proxies are not supported"
            raise ProxyFailedError(_without_user(proxy), reason, may_pass=False)
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        auth = (user.encode(), password.encode()) if user or password else None
        return httpcore2.HTTPProxy(
            _without_user(proxy),
            proxy_auth=auth,
            network_backend=self._backend,
            **self._options,
        )


def _without_user(proxy: str) -> str:
    parts = urlsplit(proxy)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], "/", "", ""))
