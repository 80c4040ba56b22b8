"""Files on the Hugging Face Hub: the listing at a revision, and their download."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

import huggingface_hub
from huggingface_hub import HfApi, resolve_revision, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    IncompleteSnapshotError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
    RevisionResolutionError,
)

from uso_core.errors import CheckpointError
from uso_core.local_path import tried_path

# Version 1 of the Hub's client, the latest for Python 3.10, uses httpx; version 2 uses httpx2.
_HTTP = import_module("httpx" if huggingface_hub.__version__.startswith("1.") else "httpx2")
_TransportError: type[Exception] = _HTTP.TransportError

_UNREACHABLE = (
    _TransportError,
    IncompleteSnapshotError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RevisionResolutionError,
)


def resolve_commit(repo_id: str, revision: str | None) -> str:
    """Return the commit of a branch, tag or commit (None: the main branch).

    If the Hub cannot be reached, the commit comes from its cache.

    Raises:
        CheckpointError: there is no such repository or revision, or it cannot be looked up.
    """
    with _checkpoint_errors(repo_id, revision):
        return resolve_revision(repo_id, revision=revision).resolved


def list_files(repo_id: str, commit: str) -> tuple[frozenset[str], Path | None]:
    """List the files of a repository at a commit.

    Returns:
        Their names, and None. If the Hub cannot be reached or refuses: the names of the files in
        its cache, and the folder that holds them.

    Raises:
        CheckpointError: the repository is neither accessible nor in the cache.
    """
    with _checkpoint_errors(repo_id, commit):
        try:
            api = HfApi()
            api.auth_check(repo_id)
            return frozenset(api.list_repo_files(repo_id, revision=commit)), None
        except (_TransportError, OfflineModeIsEnabled, HfHubHTTPError):
            folder = _cached_folder(repo_id, commit)
            if folder is None:
                raise
    files = (path for path in folder.rglob("*") if path.is_file())
    return frozenset(path.relative_to(folder).as_posix() for path in files), folder


def download(repo_id: str, commit: str, names: Iterable[str]) -> Path:
    """Download the files that are missing from the Hub's cache, and return their folder.

    Safe to call repeatedly, and from several processes at once.

    Raises:
        CheckpointError: the repository is not accessible, and a file is not in the cache.
    """
    with _checkpoint_errors(repo_id, commit):
        return Path(snapshot_download(repo_id, revision=commit, allow_patterns=sorted(names)))


def _cached_folder(repo_id: str, commit: str) -> Path | None:
    try:
        return Path(
            snapshot_download(repo_id, revision=commit, allow_patterns=[], local_files_only=True)
        )
    except LocalEntryNotFoundError:
        return None


@contextmanager
def _checkpoint_errors(repo_id: str, revision: str | None) -> Iterator[None]:
    """Turn the Hub client's exceptions into a `CheckpointError` that says what to do."""
    try:
        yield
    except GatedRepoError as error:
        raise CheckpointError(
            repo_id,
            f"is gated: accept its licence at https://huggingface.co/{repo_id} and set HF_TOKEN to "
            "a token of the account that did",
        ) from error
    except RepositoryNotFoundError as error:
        raise CheckpointError(
            repo_id,
            "there is no such folder, and no such repository on the Hub; if it is private, "
            f"set HF_TOKEN{tried_path(repo_id)}",
        ) from error
    except RevisionNotFoundError as error:
        raise CheckpointError(
            repo_id, f"has no revision {revision!r}: give a branch, a tag or a commit of it"
        ) from error
    except _UNREACHABLE as error:
        raise CheckpointError(
            repo_id,
            "there is no such folder; the Hub cannot be reached, or HF_HUB_OFFLINE disables it, "
            "and its cache is incomplete: run "
            f"`hf download {repo_id}` on a machine with network access{tried_path(repo_id)}",
        ) from error
    except HFValidationError as error:
        raise CheckpointError(
            repo_id,
            "there is no such folder, and it is not the name of a Hub repository"
            f"{tried_path(repo_id)}",
        ) from error
    except HfHubHTTPError as error:
        raise CheckpointError(
            repo_id, f"the Hub answers {error.response.status_code}: try again later"
        ) from error
