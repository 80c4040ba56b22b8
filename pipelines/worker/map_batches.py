"""`Stylize`: a pipeline as a stateful function over batches of columns, for `ray.data`."""

from __future__ import annotations

import io
import logging
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from PIL import Image

from pipelines.config.schema import load_config
from pipelines.display import display_value
from pipelines.errors import ConfigError
from pipelines.formats import FormatName
from pipelines.manifest.columns import input_names
from pipelines.manifest.references import folder_url
from pipelines.manifest.row_identity import content_hash
from pipelines.manifest.row_parser import RowParser
from pipelines.manifest.row_styles import RowStyles
from pipelines.rows import ManifestRow, RejectedRow
from pipelines.worker.sink import ImageFile, StoredImage
from pipelines.worker.spec import StylizerSpec
from pipelines.worker.stylizer import Stylizer
from uso_core.families import family_of

logger = logging.getLogger(__name__)

_IN_FLIGHT = 4  # rows: references of some are fetched while the device draws another
_ADDED = ("image", "seed", "error")
_IMAGES = ("content_image", "style_image", "style_images")


class Stylize:
    """Adds the columns `image`, `seed` and `error` to batches of rows.

    Ray builds one on each actor, and one batch after another goes through it:

    ```python
    rows.map_batches(Stylize, fn_constructor_kwargs={"model": "tiny"}, batch_size=16, num_gpus=1)
    ```

    Columns in are those of a manifest: `prompt`, `content_image`, `style_image` or `style_images`,
    `seed`, `num_steps` and so on. An image is a path, a URI, the bytes of a file, or an array
    `[H, W, 3]` of uint8. Other columns pass through. Columns out are also

    - `image`: the image, as the bytes of a file, or as an array `[H, W, 3]` of uint8;
    - `seed`: the seed of its noise, int64;
    - `error`: null, or the failure code and the message of the row, without an image.

    Args:
        model: FLUX.1: a Hub id, a folder or a URL; or `tiny`. A mapping: the section `model` of a
            configuration, with the other weights, the preset and so on.
        defaults: the values of absent columns, for example `{"num_steps": 8}`.
        image: `bytes`, or `array`; an array of a failed row is empty.
        format: the format of the bytes.
        sections: other sections of a configuration: `fetch`, `storage`, `stylize.seed`.
        style_library: folder or URL of the library of styles that the column `style` names.

    Raises:
        ConfigError: a value is not accepted.
        CheckpointError: the model cannot be loaded.
    """

    def __init__(
        self,
        model: str | Mapping[str, Any],
        *,
        defaults: Mapping[str, Any] | None = None,
        image: Literal["bytes", "array"] = "bytes",
        format: FormatName = "png",  # noqa: A002 (the name of the key)
        sections: Mapping[str, Any] | None = None,
        style_library: str | None = None,
    ) -> None:
        if image not in ("bytes", "array"):
            raise ConfigError(f"image: {image!r} is not accepted; give 'bytes' or 'array'")
        import torch  # noqa: PLC0415 (it loads for seconds)

        weights = {"base": model} if isinstance(model, str) else dict(model)
        on_gpu = torch.cuda.is_available() and weights.get("device") != "cpu"
        given = dict(sections or {})
        config = load_config(
            {
                **given,
                "manifest": {"path": "batches", "style_library": style_library},
                "output": {"path": "batches", "format": format},
                "model": weights,
                "defaults": dict(defaults or {}),
                "stylize": {**given.get("stylize", {}), "gpus_per_actor": int(on_gpu)},
            }
        )
        card = family_of(config.model.source).describe(config.model.source)
        spec = replace(StylizerSpec.from_config(config), output=None)
        if config.output.recipe:
            spec = replace(spec, recipe_model=card.name)
        self._as_arrays = image == "array"
        styles = RowStyles.of(config, card, spec.storage)
        self._parser = RowParser(config, card, {}, styles)
        self._inputs = frozenset(input_names(config.manifest))
        self._sink = _Kept()
        self._stylizer = Stylizer(spec, sink=self._sink)
        self._threads = ThreadPoolExecutor(_IN_FLIGHT, thread_name_prefix="stylize")
        self._folder = folder_url(".")

    def __call__(self, batch: Any) -> Any:  # noqa: ANN401 (pyarrow has no types)
        """Draw the rows of a batch.

        Args:
            batch: columns of equal length, `[rows]`; or a table of Arrow, as with `batch_format`
                `pyarrow`.

        Returns:
            The same columns, and `image`, `seed` and `error`. In a table they are binary, int64
            and string, also if no row or each row has failed.

        Raises:
            ConfigError: images as arrays are asked for in a table.
        """
        is_table = isinstance(batch, pa.Table)
        if is_table and self._as_arrays:
            raise ConfigError("image: arrays do not fit into a table of Arrow; give 'bytes'")
        columns = batch.to_pydict() if is_table else {name: list(batch[name]) for name in batch}
        rows = [
            dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)
        ]
        drawn = list(self._threads.map(self._drawn, rows))
        images, seeds, errors = zip(*drawn, strict=True) if drawn else ((), (), ())
        kept = [name for name in columns if name not in _ADDED]
        if is_table:
            added = pa.array(images, pa.binary()), pa.array(seeds, pa.int64())
            values = [*batch.select(kept).columns, *added, pa.array(errors, pa.string())]
            return pa.table(dict(zip([*kept, *_ADDED], values, strict=True)))
        return {
            **{name: np.asarray(batch[name]) for name in kept},
            "image": _objects(images),
            "seed": np.array(seeds, np.int64),
            "error": _objects(errors),
        }

    def _drawn(self, cells: Mapping[str, Any]) -> tuple[Any, int, str | None]:
        """Return the image, the seed and the error of a row; never raises."""
        seed = -1
        try:
            row = self._row(cells)
            if isinstance(row, str):
                return self._failed(f"invalid_request: {row}")
            seed = row.parameters.seed
            outcome = self._stylizer.stylize(row)
        except Exception as error:  # as in a run, a bug fails its row and no other
            logger.exception("row_raised row_id=%s", display_value(cells.get("id")))
            return self._failed(f"internal: {type(error).__name__}: {error}", seed)
        if outcome.failure is not None:
            message = f"{outcome.failure.code}: {outcome.failure.message}"
            return self._failed(message, seed)
        return self._image(self._sink.files[0].data), seed, None

    def _row(self, cells: Mapping[str, Any]) -> ManifestRow | str:
        """Return the row of the cells; or the reason, if they are not a row."""
        raw: dict[str, Any] = {}
        for name, value in cells.items():
            if name not in self._inputs:
                continue
            try:
                raw[name] = _encoded(value) if name in _IMAGES else _plain(value)
            except ValueError as error:
                return f"column {name}: {error}"
        row = self._parser.parse(raw, str(raw.get("id") or content_hash(raw)), self._folder)
        if isinstance(row, RejectedRow):
            return row.failure.message
        if row.parameters.num_images != 1:
            return "num_images: Stylize draws one image for each row"
        return row

    def _failed(self, message: str, seed: int = -1) -> tuple[Any, int, str]:
        nothing = np.zeros((0, 0, 3), np.uint8) if self._as_arrays else None
        return nothing, seed, message

    def _image(self, data: bytes) -> Any:  # noqa: ANN401 (bytes or an array)
        if not self._as_arrays:
            return data
        with Image.open(io.BytesIO(data)) as image:
            return np.asarray(image.convert("RGB"))


class _Kept(threading.local):
    """A sink that keeps the images of the row that this thread works on."""

    files: Sequence[ImageFile] = ()

    def save(self, row: ManifestRow, files: Sequence[ImageFile]) -> list[StoredImage]:
        """See `Sink`."""
        self.files = files
        return [StoredImage.of(f"batch:{row.id}", file.data) for file in files]


def _encoded(value: Any) -> Any:  # noqa: ANN401 (whatever a cell holds)
    """Return an array as the bytes of a PNG file, and a list of images one by one.

    Raises:
        ValueError: the array is not an image.
    """
    if isinstance(value, np.ndarray) and value.ndim in (2, 3) and value.dtype != object:
        if value.dtype != np.uint8 or value.ndim != 3 or value.shape[2] not in (3, 4):
            kind = f"{value.dtype} {list(value.shape)}"
            raise ValueError(f"an array of {kind} is not an image; give uint8 [H, W, 3]")
        if not value.size:
            raise ValueError("the array is empty")
        buffer = io.BytesIO()
        Image.fromarray(value).save(buffer, "PNG", compress_level=1)
        return buffer.getvalue()
    if isinstance(value, list | np.ndarray):
        return [_encoded(each) for each in value]
    return _plain(value)


def _plain(value: Any) -> Any:  # noqa: ANN401 (whatever a cell holds)
    """Return a value of numpy as one of Python; NaN, which pandas makes of null, is null."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    return None if isinstance(value, float) and value != value else value  # noqa: PLR0124


def _objects(values: Sequence[Any]) -> npt.NDArray[Any]:
    """Return values of any kind as a column, `[n]`."""
    column = np.empty(len(values), object)
    for place, value in enumerate(values):
        column[place] = value
    return column
