"""`Stylize` on batches, alone and on actors of `ray.data`."""

from __future__ import annotations

import io
import logging
from pathlib import Path
from typing import Any

import numpy as np
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


def test_images_as_arrays(photo: str) -> None:
    arrays = Stylize("tiny", defaults=SMALL, image="array")
    out = arrays({"prompt": np.array(["a", "b"]), "content_image": objects(photo, "/none.png")})
    assert (out["image"][0].shape, out["image"][0].dtype) == ((16, 16, 3), np.uint8)
    assert out["image"][1].shape == (0, 0, 3)


def test_an_empty_batch_has_the_columns(stylize: Stylize) -> None:
    assert {name: len(values) for name, values in stylize({"prompt": np.array([])}).items()} == {
        "prompt": 0, "image": 0, "seed": 0, "error": 0,
    }  # fmt: skip


def test_a_wrong_option_is_named() -> None:
    with pytest.raises(ConfigError, match=r"defaults\.num_stps"):
        Stylize("tiny", defaults={"num_stps": 1})
    with pytest.raises(ConfigError, match="'pixels' is not accepted"):
        Stylize("tiny", image="pixels")  # type: ignore[arg-type]


@pytest.mark.ray
def test_actors_of_ray_data_draw_a_dataset(photo: str) -> None:
    rows = [
        {"id": str(n), "content_image": photo if n != 2 else "/no/such.png", "note": n}
        for n in range(4)
    ]
    ray.init(address="local", num_cpus=2, include_dashboard=False, logging_level=logging.ERROR)
    try:
        drawn = ray.data.from_items(rows).map_batches(
            Stylize,
            fn_constructor_kwargs={"model": "tiny", "defaults": SMALL},
            batch_size=2,
            compute=ray.data.ActorPoolStrategy(size=1),
        )
        out = sorted(drawn.take_all(), key=lambda row: str(row["id"]))
    finally:
        ray.shutdown()
    assert [row["note"] for row in out] == [0, 1, 2, 3]
    assert [row["error"] is None for row in out] == [True, True, False, True]
    assert out[2]["error"].startswith("uri_not_found")
    assert Image.open(io.BytesIO(out[0]["image"])).size == (16, 16)
