"""Sends requests over guarded connections, or through proxies."""

from __future__ import annotations

from collections.abc import Iterator
from ssl import SSLContext
from typing import Any

import httpcore2
import httpx2

from pipelines.fetch.http_guard import GuardedBackend
from pipelines.fetch.kept_connections import KeptConnections
from pipelines.fetch.proxies import Proxies
from pipelines.fetch.proxy_pools import ProxyPools

RECEIVED = "received"
"""The extension of a request for the response that `GuardedTransport.send` has given for it."""
_MOST_IDLE = 32  # connections
_LONGEST_IDLE_S = 15.0


def core_url(url: httpx2.URL) -> httpcore2.URL:
    """Return a URL as httpcore2 has it."""
    return httpcore2.URL(
        scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
    )


class GuardedTransport(httpx2.BaseTransport):
    """An httpx2 transport over a `GuardedBackend`, or through proxies.

    httpcore2's exceptions pass through unchanged.
    """

    def __init__(
        self,
        backend: GuardedBackend,
        ssl_context: SSLContext | None = None,
        proxies: Proxies | None = None,
    ) -> None:
        self._backend = backend
        context = ssl_context or httpx2.create_ssl_context()
        self._direct = KeptConnections(
            backend, context, most_idle=_MOST_IDLE, longest_idle_s=_LONGEST_IDLE_S
        )
        options: dict[str, Any] = {
            "ssl_context": context,
            "max_connections": None,
            "max_keepalive_connections": _MOST_IDLE,
            "keepalive_expiry": _LONGEST_IDLE_S,
        }
        self._through = ProxyPools(proxies or Proxies(), backend.unguarded(), options)

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request, without following redirects; raises as `send`.

        A request whose extension `RECEIVED` holds a response is not sent again.
        """
        response = request.extensions.get(RECEIVED)
        if response is None:
            sent = httpcore2.Request(
                request.method,
                core_url(request.url),
                headers=request.headers.raw,
                content=request.stream,
                extensions=request.extensions,
            )
            response = self.send(sent)
        return httpx2.Response(
            response.status, headers=response.headers, stream=_ResponseStream(response)
        )

    def send(self, request: httpcore2.Request) -> httpcore2.Response:
        """Send one request, and return the response as it comes.

        Raises:
            ProxyFailedError: the proxy of the host cannot be used.
        """
        url = request.url
        proxy = self._through.proxy_of(url)
        if proxy is None:
            return self._direct.handle_request(request)
        self._backend.check(url.host.decode("ascii"), url.origin.port)
        return self._through.send(request, proxy)

    def close(self) -> None:
        """Close all connections."""
        self._direct.close()
        self._through.close()


class _ResponseStream(httpx2.SyncByteStream):
    def __init__(self, response: httpcore2.Response) -> None:
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        return self._response.iter_stream()

    def close(self) -> None:
        self._response.close()
