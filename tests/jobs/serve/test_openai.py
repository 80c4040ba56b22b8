"""OpenAI's images API, by its own client."""

from __future__ import annotations

import asyncio
import base64
import io
from typing import Any

import openai
import pytest
from PIL import Image

from jobs.serve.store.keys import KeyLimits
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
    with pytest.raises(openai.BadRequestError, match="n: 9 is not accepted"):
        images.generate(model=MODEL, prompt="a cat", n=9)
    with pytest.raises(openai.BadRequestError, match="mask"):
        images.edit(model=MODEL, image=encode(picture()), mask=encode(picture()), prompt="a")
    with pytest.raises(openai.AuthenticationError, match="unknown or revoked"):
        openai.OpenAI(api_key="nope", base_url=f"{server.url}/v1").models.list()


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"n": 9}, "n"),
        ({"size": "1x1"}, "size"),
        ({"stream": True}, "stream"),
        ({"response_format": "png"}, "response_format"),
        ({"background": "transparent"}, "background"),
        ({"extra_body": {"guidance_scale": 9}}, "guidance"),
        ({"extra_body": {"num_inference_steps": 51}}, "num_steps"),
        ({"extra_body": {"prompt": 7}}, "prompt"),
        ({"extra_body": {"prompt": None}}, "prompt"),
    ],
)
def test_an_error_names_the_parameter(server: Running, fields: dict[str, Any], param: str) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        images_of(server).generate(**{"model": MODEL, "prompt": "a", **fields})
    error = refused.value
    assert (error.param, error.type) == (param, "invalid_request_error")


def test_fields_that_have_no_effect(server: Running) -> None:
    result = images_of(server).generate(
        prompt="a cat",
        size="auto",
        background="auto",
        output_format="webp",
        quality="high",
        moderation="low",
        style="vivid",
        user="me",
        extra_body=EXTRA,
    )
    assert (result.output_format, result.background) == ("png", "opaque")  # what it really is
    assert base64.b64decode(result.data[0].b64_json).startswith(b"\x89PNG")


@pytest.mark.parametrize("count", [0, 6, 16, 17])
def test_the_number_of_images_of_an_edit(server: Running, count: int) -> None:
    small = encode(picture())
    with pytest.raises(openai.BadRequestError, match=f"image: {count} are given; send 1 to 5"):
        images_of(server).edit(model=MODEL, image=[small] * count, prompt="a")


def test_an_edit_in_json(server: Running) -> None:
    url = "data:image/png;base64," + base64.b64encode(encode(picture())).decode()
    body = {"prompt": "a", "images": [{"image_url": url}] * 2, "size": "32x32", **EXTRA}
    before = len(server.rows)
    with server.client() as http:
        answer = http.post("/v1/images/edits", json=body)
    assert answer.status_code == 200
    row = server.rows[before]
    assert (row.content_image, row.style_images) == (encode(picture()), (encode(picture()),))


def test_equal_edits_with_one_idempotency_key_are_one_task(server: Running) -> None:
    before = len(server.rows)
    send = {"Idempotency-Key": "an edit"}
    answers = [
        images_of(server).edit(
            model=MODEL,
            image=encode(picture()),
            prompt="a",
            size="32x32",
            extra_body=EXTRA,
            extra_headers=send,
        )
        for _ in "ab"
    ]
    assert answers[0].data[0].b64_json == answers[1].data[0].b64_json
    assert len(server.rows) == before + 1
    with pytest.raises(openai.ConflictError):
        images_of(server).edit(model=MODEL, image=encode(picture()), prompt="b", extra_headers=send)


def test_a_bad_image_is_not_sent_again(server: Running) -> None:
    patient = openai.OpenAI(api_key=server.secret, base_url=f"{server.url}/v1", max_retries=2)
    before = len(server.rows)
    with pytest.raises(openai.BadRequestError) as refused:
        patient.images.edit(model=MODEL, image=b"no picture", prompt="a")
    assert refused.value.code in ("image_corrupt", "image_unsupported")
    assert "image[0] (upload): " in str(refused.value)
    assert "sha256:" not in str(refused.value)
    assert len(server.rows) == before + 1


def test_a_limit_of_a_key_is_an_error_of_the_client(server: Running) -> None:
    _, secret = server.call(server.service.keys.create("limited", KeyLimits(queued=0)))
    limited = openai.OpenAI(api_key=secret, base_url=f"{server.url}/v1", max_retries=0)
    with pytest.raises(openai.RateLimitError, match="0 waiting tasks"):
        limited.images.generate(prompt="a")


@pytest.mark.parametrize("path", ["/images/variations", "/chat/completions"])
def test_a_route_that_is_not_served_is_not_found(server: Running, path: str) -> None:
    with pytest.raises(openai.NotFoundError, match=f"there is no route POST /v1{path}"):
        client(server).post(path, cast_to=object, body={})


def test_another_model_is_not_found(server: Running) -> None:
    with pytest.raises(openai.NotFoundError) as refused:
        client(server).models.retrieve("gpt-image-1")
    assert (refused.value.code, refused.value.param) == ("model_not_found", "model")


def test_its_async_client_generates_at_once(server: Running) -> None:
    async def run() -> list[Any]:
        async with openai.AsyncOpenAI(
            api_key=server.secret, base_url=f"{server.url}/v1", max_retries=0
        ) as asynchronous:
            images: Any = asynchronous.images
            calls = (
                images.generate(prompt=f"cat {place}", size="32x32", extra_body=EXTRA)
                for place in range(3)
            )
            return await asyncio.gather(*calls)

    results = asyncio.run(run())
    assert [len(result.data) for result in results] == [1, 1, 1]
