"""OpenAI's images API, by its own client."""

from __future__ import annotations

import base64
import io
from typing import Any

import openai
import pytest
from PIL import Image

from tests.jobs.serve.running import Running
from tests.pipelines.pictures import encode, picture

MODEL = "bytedance/uso"
EXTRA = {"num_steps": 2, "seed": 3, "content_long_size": 32}


def client(server: Running) -> openai.OpenAI:
    return openai.OpenAI(api_key=server.secret, base_url=f"{server.url}/v1", max_retries=0)


def images_of(server: Running) -> Any:
    """Return the client's images, whose sizes are those of OpenAI's own models to mypy."""
    return client(server).images


def test_generations(server: Running) -> None:
    result = images_of(server).generate(
        model=MODEL, prompt="a cat", n=2, size="32x48", extra_body=EXTRA
    )
    for each in result.data:
        with Image.open(io.BytesIO(base64.b64decode(each.b64_json))) as image:
            assert image.size == (32, 48)
    assert len(result.data) == 2


def test_the_first_image_of_an_edit_is_the_content(server: Running) -> None:
    pictures = [encode(picture(seed=seed)) for seed in range(3)]
    before = len(server.rows)
    result = images_of(server).edit(
        model=MODEL,
        image=pictures,
        prompt="a cat",
        size="32x32",
        response_format="url",
        extra_body=EXTRA,
    )
    row = server.rows[before]
    assert row.content_image == pictures[0]
    assert row.style_images == tuple(pictures[1:])
    assert row.parameters.num_steps == 2
    assert result.data[0].url.startswith(f"{server.url}/media/")


def test_models(server: Running) -> None:
    assert [model.id for model in client(server).models.list()] == [MODEL]
    assert client(server).models.retrieve(MODEL).id == MODEL


def test_errors_are_those_of_the_client(server: Running) -> None:
    images = images_of(server)
    with pytest.raises(openai.NotFoundError, match="there is no model"):
        images.generate(model="gpt-image-1", prompt="a cat")
    with pytest.raises(openai.BadRequestError, match="size: 'big' is not accepted"):
        images.generate(model=MODEL, prompt="a cat", size="big")
    with pytest.raises(openai.BadRequestError, match="num_images: 9 is not accepted"):
        images.generate(model=MODEL, prompt="a cat", n=9)
    with pytest.raises(openai.BadRequestError, match="mask"):
        images.edit(model=MODEL, image=encode(picture()), mask=encode(picture()), prompt="a")
    with pytest.raises(openai.AuthenticationError, match="unknown or revoked"):
        openai.OpenAI(api_key="nope", base_url=f"{server.url}/v1").models.list()
