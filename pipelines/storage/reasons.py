"""The text of a store's error: the fault, its cause without secrets, and the remedy."""

from __future__ import annotations

from pipelines.errors import Fault
from pipelines.storage.causes import cause_of
from pipelines.storage.faults import missing_bucket
from pipelines.storage.filesystems import Options

WHAT_TO_DO: dict[Fault, str] = {
    "not_found": "check that the path, and the bucket or container, exist",
    "denied": "check the credentials (keys, expiry, policy) or the folder's permissions",
    "unavailable": "check the endpoint and the network; everything stored so far is kept, so the "
    "same command resumes",
    "full": "free some space or raise the quota, then run the same command again",
    "unusable": "see the cause above",
}


def reason_of(fault: Fault, error: Exception, options: Options) -> str:
    """Return the reason for a `StorageError`.

    Args:
        fault: the kind of failure.
        error: its cause.
        options: options of the filesystem; their secrets are not shown.
    """
    kind = missing_bucket(error)
    if kind is not None:
        return f"the {kind} does not exist; create it or correct the URL"
    return f"{fault.replace('_', ' ')} ({public_cause(error, options)}); {WHAT_TO_DO[fault]}"


def public_cause(error: BaseException, options: Options) -> str:
    """Return the cause of a fault in one line, without the secrets in the options."""
    cause = cause_of(error)
    for secret in _secret_values(options):
        cause = cause.replace(secret, "***")
    return cause


def _secret_values(options: Options) -> list[str]:
    return [
        value
        for own in options.values()
        for name, value in own.items()
        if isinstance(value, str) and len(value) >= 4 and not name.endswith(("url", "region"))
    ]
