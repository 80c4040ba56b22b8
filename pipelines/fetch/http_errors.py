"""The errors of the HTTP libraries, as failures of a reference."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager

import httpcore2
import httpx2

from pipelines.config.inputs import FetchConfig
from pipelines.failures import RowFailedError
from pipelines.fetch.errors import TransientFetchError, fetch_failed
from pipelines.fetch.http_guard import AddressRefusedError, NameNotFoundError
from pipelines.fetch.proxies import environment_proxies
from pipelines.fetch.proxy_pools import ProxyFailedError


def proxy_hint(config: FetchConfig) -> str:
    """Return an advice for failed connections if the environment has a proxy that is not used."""
    if config.http.proxy is not None or not environment_proxies():
        return ""
    return "; the environment names a proxy, and fetch.http.proxy: environment would use it"


@contextmanager
def errors_named(uri: str, hint: str) -> Iterator[None]:
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
