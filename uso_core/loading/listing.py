"""Lists the files of a folder or a Hub repository.

The Hub's client takes a quarter of a second to import, so it is imported at the first Hub id.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from uso_core.errors import CheckpointError
from uso_core.loading.component_files import FileListing
from uso_core.loading.demo import DEMO, demo_folder
from uso_core.loading.layouts import DIFFUSERS_MARKER, FLUX_FOLDERS, transformer_names
from uso_core.local_path import local_path, tried_path

_MAX_DEPTH = 3
"""Deeper folders are not searched: a wrong path must not walk a whole disk."""


def list_files(location: str, revision: str | None) -> FileListing:
    """List the files at a location; nothing is downloaded.

    Args:
        location: a folder; a transformer's file, which stands for its folder without the other
            transformers there; a Hub id; or `demo`.
        revision: branch, tag or commit of a Hub id.

    Raises:
        CheckpointError: there is no such folder or repository.
    """
    path = demo_folder() if location == DEMO else local_path(location)
    try:
        if path.is_dir():
            return FileListing(str(path), _names_below(path), path)
        if path.is_file():
            return _listing_around(path)
    except OSError as error:  # its name is too long, or a folder above it cannot be entered
        raise CheckpointError(location, f"it cannot be read ({error.strerror})") from error
    if not _is_repo_id(location):
        raise CheckpointError(
            location, f"there is no such folder, and it is not a Hub id{tried_path(location)}"
        )
    from uso_core.loading import hub  # noqa: PLC0415 - see the module's docstring

    commit = hub.resolve_commit(location, revision)
    names, folder = hub.list_files(location, commit)
    return FileListing(location, names, folder, commit)


def hub_commit(location: str, revision: str | None) -> str | None:
    """Return the commit of a Hub id at a revision; for a local path, `revision` unchanged.

    Raises:
        CheckpointError: the revision cannot be resolved.
    """
    if os.path.exists(local_path(location)) or not _is_repo_id(location):
        return revision
    from uso_core.loading import hub  # noqa: PLC0415 - see the module's docstring

    return hub.resolve_commit(location, revision)


def with_files_on_disk(listing: FileListing, names: Iterable[str]) -> FileListing:
    """Download at least the files `names` unless the listing is a folder on disk.

    Returns:
        The listing with its folder.

    Raises:
        CheckpointError: the Hub cannot be reached or refuses.
    """
    if listing.folder is not None or listing.commit is None:
        return listing
    from uso_core.loading import hub  # noqa: PLC0415 - see the module's docstring

    return replace(listing, folder=hub.download(listing.location, listing.commit, names))


def _listing_around(file: Path) -> FileListing:
    folder = file.parent
    if folder.name in FLUX_FOLDERS and not (folder / DIFFUSERS_MARKER).exists():
        folder = folder.parent
    others = transformer_names() - {file.relative_to(folder).as_posix()}
    return FileListing(str(folder), _names_below(folder) - others, folder)


def _names_below(folder: Path) -> frozenset[str]:
    names: set[str] = set()
    for root, folders, files in os.walk(folder):
        below = Path(root).relative_to(folder)
        if len(below.parts) >= _MAX_DEPTH:
            folders.clear()
        names |= {(below / file).as_posix() for file in files}
    return frozenset(names)


def _is_repo_id(location: str) -> bool:
    return re.fullmatch(r"[\w.-]+/[\w.-]+", location) is not None
