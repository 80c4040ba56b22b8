"""One attempt to read an http(s) URI, with checked redirects, a size limit and typed errors."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TypeVar

import httpcore2
import httpx2

from pipelines.config.inputs import FetchConfig
from pipelines.failures import RowFailedError
from pipelines.fetch.deadline import Deadline
from pipelines.fetch.errors import (
    TransientFetchError,
    fetch_failed,
    status_failed,
    too_large,
)
from pipelines.fetch.fetched import ABSENT, Fetched
from pipelines.fetch.http_guard import (
    AddressRefusedError,
    GuardedBackend,
    GuardedTransport,
    NameNotFoundError,
    until,
)
from pipelines.fetch.http_headers import HostHeaders
from pipelines.fetch.proxies import Proxies, environment_proxies
from pipelines.fetch.proxy_pools import ProxyFailedError
from pipelines.fetch.rights.robots import HEADER, robots_wish

_HEADERS = {
    "User-Agent": "uso-batch (reference images; https://pypi.org/project/uso-batch)",
    "Accept": "image/*, */*;q=0.5",
    "Accept-Encoding": "identity",
}
T = TypeVar("T")

_GONE = frozenset({404, 410})
_AGAIN = "again"  # told apart from marks by identity
_ENCODINGS = frozenset({"", "identity", "gzip", "x-gzip", "deflate"})


class HttpReader:
    """Reads http(s) URIs; keeps connections, but no cookies. Safe to share between threads."""

    def __init__(self, config: FetchConfig, backend: GuardedBackend | None = None) -> None:
        # httpx2 logs every URL at INFO, with its signature.
        logging.getLogger("httpx2").setLevel(logging.WARNING)
        self._max_bytes = int(config.max_mb * 1e6)
        self._max_redirects = config.max_redirects
        self._silence_s = config.timeout_s / config.attempts
        self._headers = HostHeaders(config.http)
        self._hint = _proxy_hint(config)
        self._client = httpx2.Client(
            transport=GuardedTransport(
                backend or GuardedBackend(allow_private=config.allow_private_networks),
                proxies=Proxies.of(config.http.proxy),
            ),
            headers=_HEADERS,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            trust_env=False,
        )

    def read(self, uri: str, deadline: Deadline) -> Fetched:
        """Return the body at `uri`.

        Args:
            uri: an http(s) URL.
            deadline: the end of all attempts. This one ends earlier if no byte arrives for
                `timeout_s / attempts`.

        Raises:
            RowFailedError: the fetch failed permanently.
            TransientFetchError: a retry may succeed.
        """
        return self._answered("GET", uri, deadline, lambda response: self._body(uri, response))

    def look(self, uri: str, deadline: Deadline) -> str | None:
        """Return the marks of the file at `uri`, as `read` gives them; raises as `read` does.

        Asks for the head of the response. If the server refuses that, asks for the file and reads
        none of it: a signed URL may allow only this.
        """

        def head(response: httpx2.Response) -> str | None:
            is_answer = response.is_success or response.status_code in _GONE
            return _marks_of(uri, response) if is_answer else _AGAIN

        marks = self._answered("HEAD", uri, deadline, head)
        if marks is not _AGAIN:
            return marks
        return self._answered("GET", uri, deadline, lambda response: _marks_of(uri, response))

    def _answered(
        self, method: str, uri: str, deadline: Deadline, take: Callable[[httpx2.Response], T]
    ) -> T:
        """Return the result of `take` on the response after all redirects; raises as `read`."""
        with until(deadline), _errors_named(uri, self._hint):
            url = httpx2.URL(uri)
            request = self._request(method, url, url)
            first, history = request.url, list[httpx2.Response]()
            for _ in range(self._max_redirects + 1):
                _check_scheme(request.url, uri)
                response = self._client.send(request, stream=True)
                with closing(response):
                    response.history = history
                    if not response.has_redirect_location:
                        return take(response)
                    if response.next_request is None:
                        raise fetch_failed("uri_refused", uri, "it redirects to an invalid URL")
                history.append(response)
                request = self._request(method, response.next_request.url, first)
        raise fetch_failed(
            "uri_refused", uri, f"it redirects more than {self._max_redirects} times "
            "(fetch.max_redirects); give the address where it ends"
        )  # fmt: skip

    def _request(self, method: str, url: httpx2.URL, first: httpx2.URL) -> httpx2.Request:
        """Return a request with the headers of its own host only."""
        headers = self._headers.of(url, first)
        return self._client.build_request(method, url, headers=headers, timeout=self._silence_s)

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def _body(self, uri: str, response: httpx2.Response) -> Fetched:
        if not response.is_success:
            raise status_failed(response.status_code, uri, retry_after_s=_retry_after(response))
        encoding = response.headers.get("Content-Encoding", "").lower()
        if encoding not in _ENCODINGS:
            reason = f"the server sent Content-Encoding {encoding!r}, which is not supported"
            raise fetch_failed("image_unsupported", uri, reason)
        body = bytearray()
        for chunk in response.iter_bytes():
            body += chunk
            if len(body) > self._max_bytes:
                raise too_large(uri, self._max_bytes)
        content_type = response.headers.get("Content-Type")
        # The owner of the URL that the row names may speak in a redirect to a store.
        hops = (*response.history, response)
        robots = robots_wish(value for hop in hops for value in hop.headers.get_list(HEADER))
        return Fetched(bytes(body), content_type, _marks(response), robots)


def _check_scheme(url: httpx2.URL, uri: str) -> None:
    if url.scheme not in ("http", "https") or not url.host:
        raise fetch_failed("uri_refused", uri, f"it leads to a {url.scheme or 'nameless'}: URI")


def _marks_of(uri: str, response: httpx2.Response) -> str | None:
    if response.status_code in _GONE:
        return ABSENT
    if not response.is_success:
        raise status_failed(response.status_code, uri, retry_after_s=_retry_after(response))
    return _marks(response)


def _marks(response: httpx2.Response) -> str | None:
    """Return the ETag of a response, else its Last-Modified, else None."""
    names = ("ETag", "Last-Modified")
    found = (response.headers.get(name, "").strip() for name in names)
    return next((value.removeprefix("W/") for value in found if value), None)


def _retry_after(response: httpx2.Response) -> float | None:
    """Return the seconds that the server asks to wait, given as a number or as a date."""
    value = response.headers.get("Retry-After", "").strip()
    if value.isdecimal():
        return float(value)
    try:
        at = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    if at.tzinfo is None:
        at = at.replace(tzinfo=timezone.utc)
    return max(0.0, (at - datetime.now(timezone.utc)).total_seconds())


def _proxy_hint(config: FetchConfig) -> str:
    """Return an advice for failed connections if the environment has a proxy that is not used."""
    if config.http.proxy is not None or not environment_proxies():
        return ""
    return "; the environment names a proxy, and fetch.http.proxy: environment would use it"


@contextmanager
def _errors_named(uri: str, hint: str) -> Iterator[None]:
    """Translate the errors of the libraries."""
    try:
        yield
    except (AddressRefusedError, NameNotFoundError, httpx2.InvalidURL) as error:
        raise _refused(uri, error, hint) from error
    except ProxyFailedError as error:
        raise _proxy_failed(uri, error) from error
    except httpcore2.TimeoutException as error:
        raise TransientFetchError(f"the server did not respond in time{hint}") from error
    except httpcore2.NetworkError as error:
        raise _not_connected(uri, error, hint) from error
    except httpcore2.RemoteProtocolError as error:
        raise TransientFetchError(f"the response was cut short or is not HTTP: {error}") from error
    except httpx2.DecodingError as error:
        raise fetch_failed("image_corrupt", uri, f"its compression is damaged: {error}") from error
    except (httpcore2.LocalProtocolError, httpx2.RequestError) as error:
        raise fetch_failed("uri_not_found", uri, f"it cannot be fetched: {error}") from error


def _proxy_failed(uri: str, error: ProxyFailedError) -> Exception:
    reason = f"the proxy {error.proxy} failed ({error.reason})"
    if error.may_pass:
        return TransientFetchError(reason)
    advice = "check fetch.http.proxy and its credentials"
    return fetch_failed("uri_forbidden", uri, f"{reason}; {advice}")


def _not_connected(uri: str, error: httpcore2.NetworkError, hint: str) -> Exception:
    cause = error.args[0] if error.args else None  # httpcore2 drops __cause__
    if isinstance(cause, ssl.SSLCertVerificationError):
        reason = f"its TLS certificate is not valid: {cause.verify_message}"
        return fetch_failed("uri_refused", uri, reason)
    return TransientFetchError(f"the connection failed: {error}{hint}")


def _refused(uri: str, error: Exception, hint: str) -> RowFailedError:
    if isinstance(error, NameNotFoundError):
        return fetch_failed("uri_not_found", uri, f"the host does not exist; check its name{hint}")
    if isinstance(error, AddressRefusedError):
        return fetch_failed(
            "uri_refused",
            uri,
            f"its host {error.host!r} has the address {error.address}, which is not public; "
            "fetch.allow_private_networks: true allows it",
        )
    return fetch_failed("uri_refused", uri, f"it is not a valid URL: {error}")
