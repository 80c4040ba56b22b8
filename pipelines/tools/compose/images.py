"""Finds images in folders, in buckets and by globs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from pipelines.errors import ComposeError
from pipelines.manifest.source import LOOKING
from pipelines.storage.files import Place
from pipelines.storage.filesystems import Options
from pipelines.storage.output_files import without_outputs
from pipelines.storage.stored_file import StoredFile
from uso_core.local_path import tried_path

_HEIC = (".heic", ".heif", ".hif")
_HEIC_ENDINGS = _HEIC if find_spec("pillow_heif") else ()
ENDINGS = (
    *(".jpg", ".jpeg", ".jfif", ".jpe", ".png", ".webp", ".gif", ".bmp"),
    *(".tif", ".tiff", ".avif"),
    *_HEIC_ENDINGS,
)
"""Endings of image files; of HEIC only if the extra `heic` is installed here."""


def heic_hint(left_out: Mapping[str, int]) -> str:
    """Return what to install if HEIC files were left out, by their endings; else an empty text."""
    if left_out.keys().isdisjoint(_HEIC) or _HEIC_ENDINGS:
        return ""
    return "; for HEIC files, install the extra heic: pip install 'uso-batch[heic]'"


@dataclass(frozen=True, slots=True)
class FoundImages:
    """The images at some places.

    Attributes:
        uris: absolute URIs, or absolute local paths.
        inside: the path of each image below the folder that was named, or before the first pattern
            of the glob; the name of its file if that was named. If several folders are named, their
            own names come first.
        left_out: the number of files without an image's ending, by ending.
        outputs: the number of files that are results of runs, by the folder of their output.
        folder: the name of the folder that was searched; empty if it was a file, or several.
    """

    uris: list[str]
    inside: list[str] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    outputs: Counter[str] = field(default_factory=Counter)
    folder: str = ""


def find_images(places: Sequence[str], options: Options) -> FoundImages:
    """Find the images at `places`, in their order.

    The files of a folder (with its subfolders) or glob are sorted by path. Only files that end in
    one of `ENDINGS` are taken, and none whose name, or whose folder's, starts with a dot (unless a
    glob asks for it), or which is in the output of a run. Links are followed. A single file, and an
    http(s) URL, is taken as given.

    Args:
        places: files, folders, globs, local or at any fsspec URL.
        options: fsspec options by protocol, secrets resolved.

    Raises:
        ComposeError: there is no image at one of the places, or a file's name is not UTF-8.
        ManifestError: a place does not exist or cannot be listed.
        StorageError: a URL's filesystem cannot be used.
    """
    found = [_find(place, options) for place in places]
    several = sum(one.folder != "" for one in found) > 1
    inside = [
        f"{one.folder}/{path}" if several and one.folder else path
        for one in found
        for path in one.inside
    ]
    left_out = sum((one.left_out for one in found), Counter[str]())
    outputs = sum((one.outputs for one in found), Counter[str]())
    return FoundImages([uri for one in found for uri in one.uris], inside, left_out, outputs)


def _find(url: str, options: Options) -> FoundImages:
    if url.startswith(("http://", "https://")):
        name = unquote(PurePosixPath(urlsplit(url).path).name)
        return FoundImages([url], [name or "image"])  # web servers give no lists
    place = Place(url, options, LOOKING)
    found = place.find()
    if found.kind == "file":
        return FoundImages(
            [_uri(file) for file in found.files],
            [PurePosixPath(file.path).name for file in found.files],
        )
    kept, outputs = without_outputs(found.files, place.path)
    root = f"{found.folder}/" if found.folder else ""
    # A glob may ask for them.
    hidden_too = found.kind == "glob" and "/." in f"/{place.path.removeprefix(root)}"
    visible = (file for file in kept if hidden_too or _is_visible(file.path.removeprefix(root)))
    files = sorted(visible, key=lambda file: file.path)
    images = [file for file in files if file.path.lower().endswith(ENDINGS)]
    endings = Counter(PurePosixPath(file.path).suffix.lower() for file in files)
    if not images:
        wanted = ", ".join(ENDINGS)
        others = f"; {outputs.total():,} files of a run's output do not count" if outputs else ""
        raise ComposeError(
            f"{place.uri}{tried_path(place.uri)}: no image is there (a file that ends in {wanted})"
            f"{others}{heic_hint(endings)}"
        )
    left_out = Counter({each: n for each, n in endings.items() if each not in ENDINGS})
    return FoundImages(
        [_uri(file) for file in images],
        [file.path.removeprefix(root) for file in images],
        left_out,
        outputs,
        folder=PurePosixPath(found.folder).name,
    )


def _is_visible(path: str) -> bool:
    return not any(part.startswith(".") for part in PurePosixPath(path).parts)


def _uri(file: StoredFile) -> str:
    try:
        file.url.encode()
    except UnicodeEncodeError as error:
        raise ComposeError(
            f"{file.path!r}: its name is not UTF-8, and a manifest holds nothing else; rename it"
        ) from error
    return file.url
