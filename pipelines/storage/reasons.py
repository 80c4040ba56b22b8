"""The text of a store's error: the fault, its cause without secrets, and the remedy."""

from __future__ import annotations

from pipelines.errors import Fault
from pipelines.storage.faults import error_code
from pipelines.storage.filesystems import Options

_MOST_SHOWN = 300

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
    code = error_code(error)
    if code == "NoSuchBucket":
        return "the bucket does not exist; create it or correct the URL"
    cause = " ".join(str(error).split()) or type(error).__name__
    for secret in _secret_values(options):
        cause = cause.replace(secret, "***")
    if len(cause) > _MOST_SHOWN:  # some errors quote the server's response
        cause = f"{cause[:_MOST_SHOWN]}…"
    named = type(error).__name__ if code is None else code
    return f"{fault.replace('_', ' ')} ({named}: {cause}); {WHAT_TO_DO[fault]}"


def _secret_values(options: Options) -> list[str]:
    return [
        value
        for own in options.values()
        for name, value in own.items()
        if isinstance(value, str) and len(value) >= 4 and not name.endswith(("url", "region"))
    ]
