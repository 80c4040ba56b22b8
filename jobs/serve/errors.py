"""Errors of a request, before a dialect gives them its form."""

from __future__ import annotations

from collections.abc import Mapping

from uso_core.errors import UsoError

CODES: Mapping[int, str] = {
    400: "invalid_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    408: "request_timeout",
    409: "conflict",
    410: "gone",
    413: "invalid_request",
    416: "invalid_request",
    422: "validation_error",
    429: "rate_limited",
    500: "internal_error",
    502: "internal_error",
    503: "internal_error",
    504: "internal_error",
}
"""The usual code of each HTTP status."""

_MOST_OF_MESSAGE = 1000


class ApiError(UsoError):
    """A request that is refused.

    Attributes:
        status: HTTP status.
        message: the fault and its remedy, for people.
        code: machine-readable; the usual one of the status unless given.
        headers: headers of the answer.
        field: name of the field at fault, as the client knows it; None: no single one.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
        field: str | None = None,
    ) -> None:
        super().__init__(status, message)
        self.status = status
        # It may repeat a part of the request.
        is_long = len(message) > _MOST_OF_MESSAGE
        self.message = f"{message[:_MOST_OF_MESSAGE]}…" if is_long else message
        self.code = code or CODES.get(status, "internal_error")
        self.headers = dict(headers or {})
        self.field = field

    def __str__(self) -> str:
        return self.message


def wrong(field: str, reason: str, *, status: int = 422) -> ApiError:
    """Return the error for a field of a request; its message begins with the field."""
    return ApiError(status, f"{field}: {reason}", field=field)


def unknown(what: str) -> ApiError:
    """Return the error for something that does not exist, or belongs to another key."""
    return ApiError(404, f"there is no such {what}")


class DatabaseUnavailableError(UsoError):
    """The database does not answer, or cannot write; a later attempt may succeed."""


class DatabaseTakenError(UsoError):
    """Another server has taken the database over; this one must end."""

    exit_code = 1

    def __str__(self) -> str:
        return "another `uso serve` has taken serve.database over; this one ends"


class DatabaseDiskError(UsoError):
    """The disk of the database failed once; this server cannot tell which rows it has."""

    exit_code = 1

    def __str__(self) -> str:
        return (
            f"serve.database: the disk failed: {super().__str__()}. The server ends: "
            "all later writes could be lost. Check the disk, and start the server again"
        )
