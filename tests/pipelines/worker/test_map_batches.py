"""`Stylize` on batches, alone and on actors of `ray.data`."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import ray.data
from PIL import Image

from pipelines import ConfigError, Stylize

SMALL = {"num_steps": 1, "width": 16, "height": 16, "content_long_size": 32}


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("photos") / "cat.png"
    Image.new("RGB", (24, 16), "teal").save(path)
    return str(path)


@pytest.fixture(scope="module")
def stylize() -> Stylize:
    return Stylize("tiny", defaults=SMALL)


def objects(*values: Any) -> Any:
    column = np.empty(len(values), object)
    column[:] = values
    return column


def test_a_batch_keeps_its_columns_and_gets_images_and_errors_by_row(
    stylize: Stylize, photo: str
) -> None:
    batch = {
        "prompt": np.array(["a cat", "a dog", "x"]),
        "content_image": objects(photo, "/no/such.png", None),
        "width": np.array([32, 16, 99999]),
        "price": np.array([1.5, 2.5, 3.5]),
    }
    out = stylize(batch)
    assert [*out] == [*batch, "image", "seed", "error"]
    assert out["price"].tolist() == [1.5, 2.5, 3.5]
    assert Image.open(io.BytesIO(out["image"][0])).size == (32, 16)
    assert out["error"][0] is None
    assert out["error"][1].startswith("uri_not_found: /no/such.png")
    assert "invalid_request: column width: 99999 is not accepted" in out["error"][2]
    assert list(out["image"][1:]) == [None, None]


def test_images_may_be_paths_bytes_or_arrays(stylize: Stylize, photo: str) -> None:
    pixels = np.asarray(Image.open(photo))
    batch = {
        "id": np.array(["same"] * 3),
        "style_image": objects(photo, Path(photo).read_bytes(), pixels),
    }
    images = stylize(batch)["image"]
    opened = [Image.open(io.BytesIO(data)).tobytes() for data in images]
    assert opened[0] == opened[1] == opened[2]


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.zeros((8, 8, 3), np.float32), "an array of float32 [8, 8, 3] is not an image; give u"),
        (np.zeros((8, 8), np.uint8), "an array of uint8 [8, 8] is not an image"),
        (np.zeros((3, 8, 8), np.uint8), "an array of uint8 [3, 8, 8] is not an image"),
        (np.zeros((0, 0, 3), np.uint8), "the array is empty"),
    ],
)
def test_an_array_that_is_not_an_image_fails_its_row_alone(
    stylize: Stylize, photo: str, array: Any, reason: str
) -> None:
    out = stylize({"content_image": objects(array, photo)})
    assert out["error"][0].startswith(f"invalid_request: column content_image: {reason}")
    assert out["image"][0] is None
    assert (out["error"][1], Image.open(io.BytesIO(out["image"][1])).size) == (None, (16, 16))


def test_a_bug_fails_its_row_alone(stylize: Stylize, photo: str) -> None:
    class Strange:
        def __str__(self) -> str:
            raise RuntimeError("no text")

    out = stylize({"id": objects(Strange(), "b"), "content_image": objects(photo, photo)})
    assert out["error"][0] == "internal: RuntimeError: no text"
    assert out["error"][1] is None


def test_images_as_arrays(photo: str) -> None:
    arrays = Stylize("tiny", defaults=SMALL, image="array")
    out = arrays({"prompt": np.array(["a", "b"]), "content_image": objects(photo, "/none.png")})
    assert (out["image"][0].shape, out["image"][0].dtype) == ((16, 16, 3), np.uint8)
    assert out["image"][1].shape == (0, 0, 3)


def test_an_empty_batch_has_the_columns(stylize: Stylize) -> None:
    assert {name: len(values) for name, values in stylize({"prompt": np.array([])}).items()} == {
        "prompt": 0, "image": 0, "seed": 0, "error": 0,
    }  # fmt: skip


def test_a_table_gets_columns_with_types(stylize: Stylize, photo: str) -> None:
    for image, failed in ((photo, 0), ("/none.png", 1)):
        out = stylize(pa.table({"content_image": [image], "note": pa.array([7], pa.int8())}))
        assert [*map(str, out.schema.types)] == ["string", "int8", "binary", "int64", "string"]
        assert (out["image"].null_count, out["error"].null_count) == (failed, 1 - failed)


def test_a_wrong_option_is_named() -> None:
    with pytest.raises(ConfigError, match=r"defaults\.num_stps"):
        Stylize("tiny", defaults={"num_stps": 1})
    with pytest.raises(ConfigError, match="'pixels' is not accepted"):
        Stylize("tiny", image="pixels")  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def _cluster() -> Iterator[None]:
    ray.init(address="local", num_cpus=2, include_dashboard=False, logging_level=logging.ERROR)
    yield
    ray.shutdown()


def drawn(
    photo: str, batch_rows: int, *, batch_format: str = "numpy", **options: Any
) -> ray.data.Dataset:
    """Draw four rows, of which the first and the third fail, in blocks of `batch_rows`."""
    rows = [
        {"id": str(n), "content_image": photo if n % 2 else "/no/such.png", "note": n}
        for n in range(4)
    ]
    return ray.data.from_items(rows, override_num_blocks=4 // batch_rows).map_batches(
        Stylize,
        fn_constructor_kwargs={"model": "tiny", "defaults": SMALL, **options},
        batch_size=batch_rows,
        batch_format=batch_format,
        compute=ray.data.ActorPoolStrategy(size=1),
    )


def by_id(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: str(row["id"]))


@pytest.mark.ray
@pytest.mark.timeout(300)
@pytest.mark.usefixtures("_cluster")
@pytest.mark.parametrize(("batch_rows", "batch_format"), [(4, "numpy"), (1, "pyarrow")])
def test_actors_of_ray_data_draw_a_dataset(
    tmp_path: Path, photo: str, batch_rows: int, batch_format: str
) -> None:
    dataset = drawn(photo, batch_rows, batch_format=batch_format).materialize()
    out = by_id(dataset.take_all())
    assert [row["note"] for row in out] == [0, 1, 2, 3]
    assert [row["error"] is None for row in out] == [False, True, False, True]
    assert out[2]["error"].startswith("uri_not_found")
    assert Image.open(io.BytesIO(out[1]["image"])).size == (16, 16)
    if batch_format == "pyarrow":  # each file has the same types
        dataset.write_parquet(str(tmp_path / "out"))
        table = pyarrow.parquet.read_table(tmp_path / "out")
        types = [table.schema.field(name).type for name in ("image", "seed", "error")]
        assert types == [pa.binary(), pa.int64(), pa.string()]
        assert (len(table), table["image"].null_count, table["error"].null_count) == (4, 2, 2)


@pytest.mark.ray
@pytest.mark.timeout(300)
@pytest.mark.usefixtures("_cluster")
def test_arrays_of_failed_rows_stand_beside_others_in_ray_data(photo: str) -> None:
    out = by_id(drawn(photo, 1, image="array").materialize().take_all())
    assert [row["image"].shape for row in out] == [(0, 0, 3), (16, 16, 3)] * 2
