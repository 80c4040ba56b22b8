"""One attempt to read an http(s) URI, with checked redirects, a size limit and typed errors."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, NamedTuple, TypeVar

import httpcore2
import httpx2

from pipelines.config.inputs import FetchConfig
from pipelines.fetch.deadline import Deadline
from pipelines.fetch.deadline_stream import until
from pipelines.fetch.errors import fetch_failed, status_failed, too_large
from pipelines.fetch.fetched import ABSENT, Fetched
from pipelines.fetch.guarded_transport import RECEIVED, GuardedTransport, core_url
from pipelines.fetch.http_errors import errors_named, proxy_hint
from pipelines.fetch.http_guard import GuardedBackend
from pipelines.fetch.http_headers import HostHeaders
from pipelines.fetch.proxies import Proxies
from pipelines.fetch.rights.robots import HEADER, robots_wish

_HEADERS = {
    "User-Agent": "uso-batch (reference images; https://pypi.org/project/uso-batch)",
    "Accept": "image/*, */*;q=0.5",
    "Accept-Encoding": "identity",
}
T = TypeVar("T")

_GONE = frozenset({404, 410})
_AGAIN = "again"  # told apart from marks by identity
_SCHEMES = ("http", "https")
_AS_IT_IS = frozenset({"", "identity"})
_ENCODINGS = _AS_IT_IS | {"gzip", "x-gzip", "deflate"}
_MOST_HEADS = 1000


class _Head(NamedTuple):
    """All of a request to a host but its path."""

    headers: list[tuple[bytes, bytes]]
    extensions: dict[str, Any]


class HttpReader:
    """Reads http(s) URIs; keeps connections, but no cookies. Safe to share between threads."""

    def __init__(self, config: FetchConfig, backend: GuardedBackend | None = None) -> None:
        # httpx2 logs every URL at INFO, with its signature.
        logging.getLogger("httpx2").setLevel(logging.WARNING)
        self._max_bytes = int(config.max_mb * 1e6)
        self._max_redirects = config.max_redirects
        self._silence_s = config.timeout_s / config.attempts
        self._headers = HostHeaders(config.http)
        self._hint = proxy_hint(config)
        self._transport = GuardedTransport(
            backend or GuardedBackend(allow_private=config.allow_private_networks),
            proxies=Proxies.of(config.http.proxy),
        )
        self._client = httpx2.Client(
            transport=self._transport,
            headers=_HEADERS,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            trust_env=False,
        )
        self._heads: dict[tuple[bytes, bytes], _Head] = {}

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

        def take(response: httpx2.Response) -> Fetched:
            return self._body(uri, response)

        with until(deadline), errors_named(uri, self._hint):
            url = httpx2.URL(uri)
            if self._client.is_closed or not _is_usual(url):
                return self._followed("GET", uri, url, take)
            with closing(self._received(url)) as received:
                if received.status == httpx2.codes.OK:
                    headers = httpx2.Headers(received.headers)
                    if _encoding(headers) in _AS_IT_IS:
                        return self._fetched(uri, received.iter_stream(), [headers])
                return self._followed("GET", uri, url, take, received)

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
        with until(deadline), errors_named(uri, self._hint):
            return self._followed(method, uri, httpx2.URL(uri), take)

    def _received(self, url: httpx2.URL) -> httpcore2.Response:
        """Return the response to `_request("GET", url, url)` as httpcore2 gives it.

        httpx2 takes as long for a request and its response as httpcore2 does, and all of it only
        matters for unusual ones.
        """
        host = (url.raw_scheme, url.netloc)
        head = self._heads.get(host)
        if head is None:
            if len(self._heads) >= _MOST_HEADS:
                self._heads.clear()
            request = self._request("GET", url, url)
            head = self._heads[host] = _Head(request.headers.raw, request.extensions)
        return self._transport.send(
            httpcore2.Request(
                "GET", core_url(url), headers=head.headers, content=(), extensions=head.extensions
            )
        )

    def _followed(
        self,
        method: str,
        uri: str,
        url: httpx2.URL,
        take: Callable[[httpx2.Response], T],
        received: httpcore2.Response | None = None,
    ) -> T:
        """Return the result of `take` on the response after all redirects.

        Args:
            method: the method.
            uri: the URI of the row.
            url: the same, parsed.
            take: reads the response.
            received: the first response, if it is there already.
        """
        request = self._request(method, url, url, received)
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

    def _request(
        self,
        method: str,
        url: httpx2.URL,
        first: httpx2.URL,
        received: httpcore2.Response | None = None,
    ) -> httpx2.Request:
        """Return a request with the headers of its own host only."""
        return self._client.build_request(
            method,
            url,
            headers=self._headers.of(url, first),
            timeout=self._silence_s,
            extensions=None if received is None else {RECEIVED: received},
        )

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def _body(self, uri: str, response: httpx2.Response) -> Fetched:
        if not response.is_success:
            raise status_failed(response.status_code, uri, retry_after_s=_retry_after(response))
        encoding = _encoding(response.headers)
        if encoding not in _ENCODINGS:
            reason = f"the server sent Content-Encoding {encoding!r}, which is not supported"
            raise fetch_failed("image_unsupported", uri, reason)
        # The owner of the URL that the row names may speak in a redirect to a store.
        hops = [hop.headers for hop in (*response.history, response)]
        return self._fetched(uri, response.iter_bytes(), hops)

    def _fetched(
        self, uri: str, pieces: Iterable[bytes], hops: Sequence[httpx2.Headers]
    ) -> Fetched:
        """Return the body in pieces, and what the headers of the responses say about it."""
        body = bytearray()
        for piece in pieces:
            body += piece
            if len(body) > self._max_bytes:
                raise too_large(uri, self._max_bytes)
        robots = robots_wish(value for hop in hops for value in hop.get_list(HEADER))
        return Fetched(bytes(body), hops[-1].get("Content-Type"), _marks(hops[-1]), robots)


def _is_usual(url: httpx2.URL) -> bool:
    """Return False for a URL that httpx2 changes, or of which it makes a header."""
    return url.scheme in _SCHEMES and bool(url.host) and not url.userinfo


def _encoding(headers: httpx2.Headers) -> str:
    return headers.get("Content-Encoding", "").lower()


def _check_scheme(url: httpx2.URL, uri: str) -> None:
    if url.scheme not in _SCHEMES or not url.host:
        raise fetch_failed("uri_refused", uri, f"it leads to a {url.scheme or 'nameless'}: URI")


def _marks_of(uri: str, response: httpx2.Response) -> str | None:
    if response.status_code in _GONE:
        return ABSENT
    if not response.is_success:
        raise status_failed(response.status_code, uri, retry_after_s=_retry_after(response))
    return _marks(response.headers)


def _marks(headers: httpx2.Headers) -> str | None:
    """Return the ETag of a response, else its Last-Modified, else None."""
    names = ("ETag", "Last-Modified")
    found = (headers.get(name, "").strip() for name in names)
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
