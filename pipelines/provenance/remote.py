"""A signer at a URL: it gets the bytes to sign, and answers with the signature."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from typing import TypeVar

import httpx2
from tenacity import (
    Retrying,
    retry_if_exception,
    stop_after_attempt,
    wait_random_exponential,
)

from pipelines.config.provenance import ProvenanceConfig
from pipelines.config.variables import variables_in
from pipelines.errors import ConfigError
from pipelines.failures import Failure, RowFailedError
from pipelines.fetch.deadline import Deadline, DeadlineExceededError, call_until
from pipelines.provenance.certificates import Certificate
from pipelines.storage.urls import redact_uri

T = TypeVar("T")

_FIRST_WAIT_S = 0.25
_LONGEST_WAIT_S = 8.0
_PASSING = frozenset({408, 425, 429})  # and all from 500 on
_LONGEST_SIGNATURE = 8192  # bytes; that of RSA has a byte for each 8 bits of its key


class RemoteSigner:
    """Asks a signer for signatures; several threads may use it at once.

    A request is a POST with the bytes to sign, of the type `application/octet-stream`, the header
    `X-USO-Algorithm`, and `Authorization: Bearer TOKEN` if there is a token. The answer has the
    status 200, and the signature as its body: that of RSA-PSS or Ed25519, or that of ECDSA as
    r and s, or as DER.

    Args:
        config: `output.provenance`.
        certificate: the certificate whose key the signer has.

    Raises:
        ConfigError: the variable of the token is not set.
    """

    def __init__(self, config: ProvenanceConfig, certificate: Certificate) -> None:
        assert config.signer is not None
        # httpx2 logs every URL at INFO.
        logging.getLogger("httpx2").setLevel(logging.WARNING)
        self._url = config.signer
        self._algorithm = certificate.algorithm
        self._attempts = config.signer_attempts
        self._timeout_s = config.signer_timeout_s
        self._client = httpx2.Client(
            timeout=config.signer_timeout_s,
            follow_redirects=False,
            headers={
                "Content-Type": "application/octet-stream",
                "User-Agent": "uso-batch",
                "X-USO-Algorithm": certificate.algorithm,
                **_authorization(config.signer_token),
            },
        )
        self._of_thread = threading.local()

    @property
    def shown(self) -> str:
        """The signer and the key that it should have, for messages."""
        return f"{self._name}, asked for {self._algorithm} by the key of the first certificate,"

    @property
    def _name(self) -> str:
        return f"the signer {redact_uri(self._url)} (output.provenance.signer)"

    def during(self, work: Callable[[], T]) -> T:
        """Return the result of `work`, in which the library calls `signature` in this thread.

        The library takes no exception from a signer, so this raises it.

        Raises:
            RowFailedError: `signing_failed`; the message names the signer and its last answer.
        """
        self._of_thread.failure = None
        try:
            return work()
        except Exception as error:
            failure: Failure | None = self._of_thread.failure
            if failure is None:
                raise
            raise RowFailedError(failure) from error

    def signature(self, data: bytes) -> bytes:
        """Return the signature of `data`; empty after a failure, which `during` raises."""
        retrying = Retrying(
            stop=stop_after_attempt(self._attempts),
            wait=wait_random_exponential(_FIRST_WAIT_S, _LONGEST_WAIT_S),
            retry=retry_if_exception(_may_pass),
            reraise=True,
        )
        try:
            found: bytes = retrying(self._asked_in_time, data)
        except Exception as error:  # noqa: BLE001 (nothing may leave a callback of the library)
            tried = retrying.statistics["attempt_number"]
            message = (
                f"{self._name} gave no signature: {_reason(error)} (tried {tried} times, of "
                f"signer_attempts {self._attempts})"
            )
            self._of_thread.failure = Failure("signing_failed", message)
            return b""
        return found

    def _asked_in_time(self, data: bytes) -> bytes:
        """Ask once; a signer that sends a byte now and then does not prolong the time."""
        try:
            return call_until(Deadline.after(self._timeout_s), lambda: self._asked(data))
        except DeadlineExceededError as error:
            raise httpx2.ReadTimeout(f"no answer within {self._timeout_s:g} s") from error

    def _asked(self, data: bytes) -> bytes:
        body = b""
        with self._client.stream("POST", self._url, content=data) as got:
            if got.status_code != httpx2.codes.OK:
                raise httpx2.HTTPStatusError("", request=got.request, response=got)
            for chunk in got.iter_bytes():
                body += chunk
                if len(body) > _LONGEST_SIGNATURE:
                    raise ValueError("its answer is longer than a signature")
        if not body:
            raise ValueError("its answer is empty")
        return body


def _authorization(token: str | None) -> dict[str, str]:
    if token is None:
        return {}
    (name,) = variables_in(token)
    value = os.environ.get(name, "").strip()
    if not value:
        raise ConfigError(
            f"output.provenance.signer_token: {token} is not set on this machine; set it where "
            "actors run, for example with ray.env"
        )
    return {"Authorization": f"Bearer {value}"}


def _may_pass(error: BaseException) -> bool:
    if isinstance(error, httpx2.HTTPStatusError):
        status = error.response.status_code
        return status in _PASSING or status >= 500
    return isinstance(error, httpx2.TransportError)


def _reason(error: BaseException) -> str:
    """Describe an error, without the URL."""
    if isinstance(error, httpx2.HTTPStatusError):
        return f"it answers {error.response.status_code}"
    if isinstance(error, ValueError):
        return str(error)
    return f"{type(error).__name__}: {error}"
