"""Guards against server-side request forgery (SSRF): connects to public addresses only.

The host name is resolved here, each of its addresses is checked, and the connection goes to a
checked address. A name that resolves differently the next time therefore gains nothing. Pooled
connections and TLS still go by the name. Redirects take the same path.
"""

from __future__ import annotations

import ipaddress
import socket
import time
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address, IPv6Address

import httpcore2
from cachetools import LRUCache

from pipelines.fetch.deadline import Deadline, DeadlineExceededError, call_until
from pipelines.fetch.deadline_stream import DeadlineStream, capped, current_deadline, until

# IPv4 inside IPv6, in the last 32 bits: NAT64, translated and compatible addresses.
_ENDS_IN_IPV4 = tuple(
    map(ipaddress.ip_network, ("64:ff9b::/96", "64:ff9b:1::/48", "::ffff:0:0:0/96", "::/96"))
)
_ISATAP = (0x0000_5EFE, 0x0200_5EFE)
# Global as far as the language says, and yet not for us.
_NOT_FOR_US = tuple(
    map(
        ipaddress.ip_network,
        (
            *("192.0.0.0/24", "2001::/23"),  # protocol assignments, Teredo
            *("192.31.196.0/24", "192.175.48.0/24", "2620:4f:8000::/48"),  # AS112
            *("192.52.193.0/24", "192.88.99.0/24"),  # multicast tunnels, 6to4 relays
            *("3fff::/20", "5f00::/16", "fec0::/10"),  # documentation, segment routing, site-local
            *("168.63.129.16/32", "161.26.0.0/16", "166.8.0.0/14"),  # services of clouds
            *("100.64.0.0/10", "fd00:ec2::/32"),  # and some more, whatever the language says
        ),
    )
)

_LOOKUP_S = 2.0  # for a name behind a proxy, which may have no address here
_UNKNOWN_S = 300.0
_MOST_UNKNOWN = 10_000

# EAI_NODATA does not exist on every system.
_NO_SUCH_NAME = {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)}

Address = IPv4Address | IPv6Address
Resolve = Callable[[str, int], list[Address]]


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


def is_public(address: Address) -> bool:
    """Return True if an address, or the IPv4 address inside it, is public and unicast."""
    if isinstance(address, IPv6Address):
        inner = _embedded_ipv4(address)
        if inner is not None:
            return is_public(inner)
    if any(address in network for network in _NOT_FOR_US):
        return False
    return address.is_global and not (
        address.is_multicast or address.is_reserved or address.is_unspecified
    )


def _embedded_ipv4(address: IPv6Address) -> IPv4Address | None:
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    last = int(address) & 0xFFFFFFFF
    is_isatap = int(address) >> 32 & 0xFFFFFFFF in _ISATAP
    if is_isatap or any(address in network for network in _ENDS_IN_IPV4):
        return IPv4Address(last)
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
        self._unknown: LRUCache[str, float] = LRUCache(_MOST_UNKNOWN)

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
                return DeadlineStream(
                    self._tcp.connect_tcp(
                        str(address), port, capped(timeout), local_address, socket_options
                    )
                )
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:  # noqa: PERF203
                failed = error
        raise failed

    def unguarded(self) -> GuardedBackend:
        """Return the same backend for any address: for a proxy, which the user has chosen."""
        return GuardedBackend(allow_private=True, resolve=self._resolve, tcp=self._tcp)

    def check(self, host: str, port: int) -> None:
        """Refuse a host that a proxy would connect to; let it pass if its name is not known here.

        A proxy resolves names itself, often in a network in which only the proxy can. So a name
        without an address here is left to the rules of the proxy. So is a name that resolves to
        other addresses there.

        Raises:
            AddressRefusedError: one of the host's addresses is not public.
        """
        if self._allow_private or self._unknown.get(host, 0) > time.monotonic():
            return
        deadline = current_deadline()
        seconds = _LOOKUP_S if deadline is None else min(_LOOKUP_S, deadline.remaining)
        with until(Deadline.after(seconds)):
            try:
                self._checked_addresses(host, port)
            except (NameNotFoundError, httpcore2.ConnectError, httpcore2.ConnectTimeout):
                self._unknown[host] = time.monotonic() + _UNKNOWN_S

    def _checked_addresses(self, host: str, port: int) -> list[Address]:
        try:
            deadline = current_deadline()
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
