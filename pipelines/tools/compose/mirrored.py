"""Combines photographs, styles and prompts into rows whose images mirror the photographs' folders.

Beside the columns of `pairing`, a row has `folder`, the path of the photograph's folder below the
place that was searched, and `ending`, that of its file name. A row's id follows from the paths of
its files, so a photograph that is added changes no other id.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from pathlib import PurePosixPath

import pyarrow as pa

from pipelines.fields.cells import MAX_ID_LENGTH
from pipelines.tools.compose.images import FoundImages
from pipelines.tools.compose.pairing import Ingredients, Rows, grid

SEPARATOR = "--"
_MORE = (("folder", pa.string()), ("ending", pa.string()))


def mirrored(contents: FoundImages, styles: FoundImages, prompts: Sequence[str]) -> Rows:
    """Combine every photograph with every style and every prompt; see `pairing.grid`.

    Args:
        contents: the photographs.
        styles: the styles, or no image.
        prompts: the prompts, or an empty list.

    Raises:
        ComposeError: there is nothing to combine.
    """
    rows = grid(Ingredients(contents.uris, styles.uris, prompts))
    names = {"content_image": _names(contents), "style_image": _names(styles)}
    inside = dict(zip(contents.uris, contents.inside, strict=True))
    schema = pa.schema([*rows.schema, *_MORE])

    def batches() -> Iterator[pa.RecordBatch]:
        for batch in rows.batches:
            columns = dict(zip(batch.schema.names, batch.columns, strict=True))
            paths = [PurePosixPath(inside[uri]) for uri in columns["content_image"].to_pylist()]
            columns["id"] = pa.array(_ids(columns, names), pa.string())
            columns["folder"] = pa.array([_folder(path) for path in paths], pa.string())
            columns["ending"] = pa.array([path.suffix[1:].lower() for path in paths], pa.string())
            yield pa.record_batch([columns[name] for name in schema.names], schema=schema)

    return Rows(rows.count, schema, batches())


def _ids(columns: dict[str, pa.Array], names: dict[str, dict[str, str]]) -> list[str]:
    parts = [
        [names[kind][uri] for uri in columns[kind].to_pylist()] for kind in names if kind in columns
    ]
    if "prompt" in columns:
        parts.append([_hash(prompt) if prompt else "" for prompt in columns["prompt"].to_pylist()])
    ids = [SEPARATOR.join(filter(None, each)) for each in zip(*parts, strict=True)]
    return [row_id if len(row_id) <= MAX_ID_LENGTH else _cut(row_id) for row_id in ids]


def _names(found: FoundImages) -> dict[str, str]:
    """Return the path of each image below its place; with a hash if several have it."""
    counts = Counter(found.inside)
    return {
        uri: inside if counts[inside] == 1 else f"{inside}-{_hash(uri)}"
        for uri, inside in zip(found.uris, found.inside, strict=True)
    }


def _folder(path: PurePosixPath) -> str:
    return "" if str(path.parent) == "." else str(path.parent)


def _cut(row_id: str) -> str:
    return f"{row_id[: MAX_ID_LENGTH - 13]}-{_hash(row_id)}"


def _hash(text: str) -> str:
    return blake2b(text.encode(errors="surrogatepass"), digest_size=6).hexdigest()
