"""Finds the outputs of runs, and reports of them, among listed files.

A folder of photographs or tables may hold the output of an earlier run. Its images and records are
results, which the next run must not take for inputs.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

from pipelines.name_template import PICTURES
from pipelines.storage.stored_file import StoredFile

_PART = r"(.*)/records/part-(?:[0-9a-f]{32}|r\d{6}-\d{8}-[0-9a-f]{8})\.parquet"
_RUN_FILE = r"(.*)/run/(?:\d{8}T\d{6}-[0-9a-f]{6}-\d+|lease)\.json"
_REPORT = r"(.*)/data/[0-9a-f]{8}/(?:facets|(?:rows|texts|numbers|matrix)-\d+)\.js"
_CERTAIN = re.compile("|".join((_PART, _RUN_FILE, _REPORT)))
# A glob of images lists no record beside them, so the store is asked.
_IMAGE = re.compile(rf"(.*?)/(?:images/[0-9a-f]{{2}}/[^/]+|{PICTURES}/.+)")
_GLOB = re.compile(r"[*?\[]")


class Sorted(NamedTuple):
    """Files of a folder or glob.

    Attributes:
        kept: the files that are in no output.
        left_out: the number of other files, by the folder of their output.
    """

    kept: list[StoredFile]
    left_out: Counter[str]


def without_outputs(files: Sequence[StoredFile], searched: str) -> Sorted:
    """Leave out the files of outputs in a folder; not those of an output that holds the folder.

    Whoever names a folder inside an output, such as its `images`, wants the files there.

    Args:
        files: the files that were found, of one filesystem.
        searched: the path of the folder or glob.
    """
    glob = _GLOB.search(searched)
    base = PurePosixPath(f"{searched}/x" if glob is None else f"{searched[: glob.start()]}x").parent
    roots = {root for root in _roots(files) if PurePosixPath(root).is_relative_to(base)}
    kept: list[StoredFile] = []
    left_out: Counter[str] = Counter()
    for file in files:
        above = map(str, reversed(PurePosixPath(file.path).parents))  # a report is in its output
        root = next((folder for folder in above if folder in roots), None)
        if root is None:
            kept.append(file)
        else:
            left_out[root] += 1
    return Sorted(kept, left_out)


def _roots(files: Sequence[StoredFile]) -> Iterator[str]:
    is_output: dict[str, bool] = {}
    for file in files:
        certain = _CERTAIN.fullmatch(file.path)
        if certain is not None:
            yield next(root for root in certain.groups() if root is not None)
        elif (image := _IMAGE.fullmatch(file.path)) is not None:
            root = image.group(1)
            if root not in is_output:
                is_output[root] = bool(file.fs.exists(f"{root}/records"))
            if is_output[root]:
                yield root
