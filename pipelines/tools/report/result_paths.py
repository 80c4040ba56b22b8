"""The pictures of rows in short: a path below a folder that they share.

Ordinary rows have one picture, in the same output as the others, with a plain name, and without a
thumbnail. The pictures of any other row are described one by one, see `Gallery.shown`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.arrow_types.shown import values_of
from pipelines.image_names import path_in_output
from pipelines.storage.urls import redact_uri
from pipelines.tools.report.pictures import Gallery, picture_key, results
from pipelines.tools.report.values import LONGEST_TEXT, visible

# Names that need no quotes in a link; see `path_in_output`.
_PLAIN_PATH = r"^(images/[0-9a-f]{2}/[A-Za-z0-9._-]+|pictures(/[A-Za-z0-9_-][A-Za-z0-9._-]*)+)$"
_INNER_FOLDER = "/(images|pictures)/"
_LONGEST_PATH = 1000


class ResultPaths:
    """Describes the pictures of rows.

    Attributes:
        json: `[n]`, the path of the only picture, or a list of pictures, as JSON; null for none.
    """

    def __init__(self, gallery: Gallery, rows: pa.RecordBatch) -> None:
        """Describe the pictures of `rows`, columns of `pipelines.tools.report.plain_columns`."""
        self._gallery = gallery
        outputs, hashes = rows["outputs"], rows["sha256"]
        counts = pc.fill_null(pc.list_value_length(outputs), 0).to_numpy()
        single = np.flatnonzero(counts == 1)
        starts = np.cumsum(counts) - counts
        uris = pc.list_flatten(outputs).take(pa.array(starts[single]))
        self._folder = _shared_folder(uris)
        paths, are_plain = self._plain_paths(uris)
        plain = single[are_plain]
        plain = plain[~self._have_thumbnails(outputs, hashes, plain)]
        places = np.searchsorted(single, plain)
        quoted = pc.binary_join_element_wise('"', paths.take(pa.array(places)), '"', "")
        is_plain, is_odd = np.zeros(len(outputs), bool), counts > 0
        is_plain[plain], is_odd[plain] = True, False
        described = self._described(outputs, hashes, np.flatnonzero(is_odd))
        texts = pc.replace_with_mask(pa.nulls(len(outputs), pa.string()), is_plain, quoted)
        self.json = pc.replace_with_mask(texts, is_odd, pa.array(described, pa.string()))

    def places(self) -> Sequence[tuple[str, str | None]]:
        """Return the beginnings of the plain paths as members of an object: of URIs, of links."""
        if self._folder is None:
            return []
        root = self._gallery.roots["run"]
        return [
            ("uri", json.dumps(self._folder)),
            ("full", None if root is None else json.dumps(f"{root}/")),
        ]

    def _plain_paths(self, uris: pa.Array) -> tuple[pa.Array, npt.NDArray[np.bool_]]:
        """Return the paths below the shared folder, and which of them are plain."""
        if self._folder is None:
            return uris, np.zeros(len(uris), bool)
        below = pc.starts_with(uris, self._folder)
        paths = pc.utf8_slice_codeunits(uris, len(self._folder))
        plain = pc.and_(below, pc.match_substring_regex(paths, _PLAIN_PATH))
        plain = pc.and_not(plain, pc.match_substring_regex(paths, _INNER_FOLDER))
        plain = pc.and_(plain, pc.less(pc.binary_length(paths), _LONGEST_PATH))
        return paths, pc.fill_null(plain, False).to_numpy(zero_copy_only=False)

    def _have_thumbnails(
        self, outputs: pa.Array, hashes: pa.Array, rows: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.bool_]:
        """Return which of the rows have a picture whose thumbnail was asked for."""
        if self._gallery.pictures.is_empty:
            return np.zeros(len(rows), bool)
        wanted = pa.array(rows)
        pairs = zip(values_of(outputs.take(wanted)), values_of(hashes.take(wanted)), strict=True)
        keys = [picture_key(uris[0], digests[0] if digests else None) for uris, digests in pairs]
        return self._gallery.pictures.are_known(keys)

    def _described(
        self, outputs: pa.Array, hashes: pa.Array, rows: npt.NDArray[np.int64]
    ) -> list[str]:
        wanted = pa.array(rows)
        pairs = zip(values_of(outputs.take(wanted)), values_of(hashes.take(wanted)), strict=True)
        return [
            json.dumps([self._gallery.shown(one) for one in results(uris, digests, "run")])
            for uris, digests in pairs
        ]


def _shared_folder(uris: pa.Array) -> str | None:
    """Return the beginning of the first URI, up to its path in the output; None if it is odd."""
    first = uris[0].as_py() if len(uris) else None
    path = None if first is None else path_in_output(first)
    if first is None or path is None or not first.isascii():
        return None
    is_plain = visible(redact_uri(first)) == first and len(first) < LONGEST_TEXT - _LONGEST_PATH
    return first[: len(first) - len(path)] if is_plain else None
