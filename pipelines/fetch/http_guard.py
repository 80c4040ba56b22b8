"""Guards against server-side request forgery (SSRF): connects to public addresses only.

The host name is resolved here, each of its addresses is checked, and the connection goes to a
checked address. A name that resolves differently the next time therefore gains nothing. Pooled
connections and TLS still go by the name. Redirects take the same path.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from ipaddress import IPv4Address, IPv6Address
from ssl import SSLContext
from typing import Any

import httpcore2
import httpx2

from pipelines.fetch.deadline import Deadline, DeadlineExceededError, call_until

_NAT64 = ipaddress.ip_network("64:ff9b::/96")  # IPv4 inside IPv6: the last 32 bits

# EAI_NODATA does not exist on every system.
_NO_SUCH_NAME = {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)}

Address = IPv4Address | IPv6Address
Resolve = Callable[[str, int], list[Address]]

_deadline: ContextVar[Deadline | None] = ContextVar("http_deadline", default=None)


class AddressRefusedError(Exception):
    """A host has an address that is not public.

    Attributes:
        host: the host in the URL.
        address: the host's first address that is not public.
    """

    def __init__(self, host: str, address: str) -> None:
        super().__init__(host, address)
        self.host = host
        self.address = address


class NameNotFoundError(Exception):
    """The host does not exist."""


@contextmanager
def until(deadline: Deadline) -> Iterator[None]:
    """End every wait of this thread on a guarded connection at `deadline`.

    A time-out per read is not enough: a server that sends a byte now and then never reaches it.
    """
    token = _deadline.set(deadline)
    try:
        yield
    finally:
        _deadline.reset(token)


def is_public(address: Address) -> bool:
    """Return True if an address, or the IPv4 address inside it, is public and unicast."""
    if isinstance(address, IPv6Address):
        inner = _embedded_ipv4(address)
        if inner is not None:
            return is_public(inner)
        if address.is_site_local:
            return False
    return address.is_global and not (
        address.is_multicast or address.is_reserved or address.is_unspecified
    )


def _embedded_ipv4(address: IPv6Address) -> IPv4Address | None:
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return None


def resolve(host: str, port: int) -> list[Address]:
    """Return all addresses of a host, which may be numeric, in the system's order of preference.

    Raises:
        NameNotFoundError: the name does not exist.
        OSError: the lookup failed.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        if error.errno in _NO_SUCH_NAME:
            raise NameNotFoundError(host) from error
        raise
    except UnicodeError as error:  # not a valid host name
        raise NameNotFoundError(host) from error
    return list(dict.fromkeys(ipaddress.ip_address(info[4][0]) for info in found))


class GuardedBackend(httpcore2.NetworkBackend):
    """Opens TCP connections to checked addresses, and ends every wait at the thread's deadline."""

    def __init__(
        self,
        *,
        allow_private: bool,
        resolve: Resolve = resolve,
        tcp: httpcore2.NetworkBackend | None = None,
    ) -> None:
        """Connect through `tcp`, or else sockets, to the addresses that `resolve` returns."""
        self._allow_private = allow_private
        self._resolve = resolve
        self._tcp = tcp or httpcore2.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        """Connect to the first address that accepts.

        Raises:
            AddressRefusedError: one of the host's addresses is not public.
            NameNotFoundError: the host does not exist.
            httpcore2.ConnectError, httpcore2.ConnectTimeout: no address accepts.
        """
        failed: Exception = httpcore2.ConnectError(f"{host} has no address")
        for address in self._checked_addresses(host, port):
            try:
                return _DeadlineStream(
                    self._tcp.connect_tcp(
                        str(address), port, _capped(timeout), local_address, socket_options
                    )
                )
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:  # noqa: PERF203
                failed = error
        raise failed

    def _checked_addresses(self, host: str, port: int) -> list[Address]:
        try:
            deadline = _deadline.get()
            if deadline is None:
                addresses = self._resolve(host, port)
            else:
                addresses = call_until(deadline, lambda: self._resolve(host, port))
        except DeadlineExceededError as error:
            raise httpcore2.ConnectTimeout("the host name was not resolved in time") from error
        except OSError as error:
            raise httpcore2.ConnectError(error) from error
        if not self._allow_private:
            for address in addresses:
                if not is_public(address):
                    raise AddressRefusedError(host, str(address))
        return addresses


class _DeadlineStream(httpcore2.NetworkStream):
    """A connection whose waits end at the deadline of the current thread."""

    def __init__(self, inner: httpcore2.NetworkStream) -> None:
        self._inner = inner

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, _capped(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, _capped(timeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self,
        ssl_context: SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore2.NetworkStream:
        return _DeadlineStream(
            self._inner.start_tls(ssl_context, server_hostname, _capped(timeout))
        )

    def get_extra_info(self, info: str) -> Any:  # noqa: ANN401 - httpcore2's own signature
        return self._inner.get_extra_info(info)


def _capped(timeout: float | None) -> float | None:
    deadline = _deadline.get()
    if deadline is None:
        return timeout
    if deadline.remaining == 0:
        raise httpcore2.ReadTimeout("the time for this URI is over")
    return deadline.remaining if timeout is None else min(timeout, deadline.remaining)


class GuardedTransport(httpx2.BaseTransport):
    """An httpx2 transport over a `GuardedBackend`; ignores proxies.

    httpcore2's exceptions pass through unchanged.
    """

    def __init__(self, backend: GuardedBackend, ssl_context: SSLContext | None = None) -> None:
        self._pool = httpcore2.ConnectionPool(
            ssl_context=ssl_context or httpx2.create_ssl_context(),
            max_connections=None,
            max_keepalive_connections=32,
            keepalive_expiry=15,
            network_backend=backend,
        )

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request, without following redirects."""
        url = request.url
        response = self._pool.handle_request(
            httpcore2.Request(
                request.method,
                httpcore2.URL(
                    scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
                ),
                headers=request.headers.raw,
                extensions=request.extensions,
            )
        )
        return httpx2.Response(
            response.status, headers=response.headers, stream=_ResponseStream(response)
        )

    def close(self) -> None:
        """Close all connections."""
        self._pool.close()


class _ResponseStream(httpx2.SyncByteStream):
    def __init__(self, response: httpcore2.Response) -> None:
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        return self._response.iter_stream()

    def close(self) -> None:
        self._response.close()
