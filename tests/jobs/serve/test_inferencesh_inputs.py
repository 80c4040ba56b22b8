"""The inputs of a task of inference.sh's API: accepted forms, and errors that name wrong ones."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.jobs.serve.inferencesh_requests import CONTENT, ended, run
from tests.jobs.serve.running import Running
from tests.pipelines.pictures import encode, picture


@pytest.mark.parametrize("value", ["", None, {"uri": ""}])
def test_an_empty_image_is_none(server: Running, value: Any) -> None:
    before = len(server.rows)
    assert ended(server, content_image=value)["status"] == 10
    assert server.rows[before].content_image is None


def test_an_image_may_be_an_object(server: Running) -> None:
    before = len(server.rows)
    ended(server, style_image={"uri": CONTENT, "content_type": "image/png"})
    assert server.rows[before].style_images == (encode(picture()),)


def test_styles_are_in_order(server: Running) -> None:
    images = [encode(picture(seed=seed)) for seed in range(4)]
    uris = ["data:image/png;base64," + base64.b64encode(image).decode() for image in images]
    before = len(server.rows)
    given = {"style_image": uris[0], "extra_style_image": uris[1], "style_images": uris[2:]}
    assert ended(server, **given)["status"] == 10
    assert server.rows[before].style_images == tuple(images)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"prompt": None}, "input.prompt: give a text"),
        ({"prompt": 7}, "input.prompt: give a text"),
        ({"width": 33}, "input.width: 33 is not accepted; give a multiple of 16"),
        ({"num_steps": 51}, "input.num_steps: 51 is not accepted; give 1 to 50"),
        ({"guidance": "x"}, "input.guidance: 'x' is not accepted"),
        ({"seed": -2}, "input.seed: -2 is not accepted"),
        ({"style_images": "a"}, "input.style_images: give a list"),
        ({"style_images": [CONTENT] * 5}, "5 styles are given; at most 4"),
        ({"content_image": "/etc/passwd"}, "input.content_image: give an http(s) URL"),
        ({"content_image": {"path": "/etc/passwd"}}, "input.content_image: give an http(s) URL"),
        ({"style_weights": [1]}, "style_weights: [1] is not accepted"),
        ({"keep_size": "yes"}, "input.keep_size: 'yes' is not accepted; give true or false"),
        ({"num_steps": True}, "input.num_steps: True is not accepted; give a number"),
        ({"seed": 2**31}, "input.seed: 2147483648 is not accepted"),
        ({"prompt": "a" * 100_001}, "input.prompt: 100,001 characters are given"),
    ],
)
def test_a_wrong_input_is_named(server: Running, given: dict[str, Any], said: str) -> None:
    answer = run(server, given)
    body = answer.json()
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert said in body["detail"] == body["error"]["message"]
    assert body["type"].endswith("/errors/validation_error")


def test_a_prompt_that_the_client_has_uploaded_is_refused(server: Running) -> None:
    with server.client() as http:
        files = http.post("/files", json={"files": [{"filename": "a", "size": 1}]}).json()["data"]
    answer = run(server, {"prompt": files[0]["uri"]})
    assert answer.status_code == 422
    assert "add a space to it" in answer.json()["detail"]


def test_an_unknown_field_is_a_note(server: Running) -> None:
    body = run(server, {"promt": "x"}).json()
    assert body["messages"] == [
        {"level": "warning", "message": "input.promt is unknown and has no effect"}
    ]


def test_an_upload_by_another_name_of_the_server_is_its_own(server: Running) -> None:
    """The server would refuse to fetch from itself."""
    by_name = server.url.replace("127.0.0.1", "localhost")
    with server.client() as http:
        upload = {"file": ("a.png", encode(picture()), "image/png")}
        uri = http.post(f"{by_name}/files", files=upload).json()["data"]["uri"]
    assert uri.startswith(by_name)
    before = len(server.rows)
    assert ended(server, content_image=uri)["status"] == 10
    assert server.rows[before].content_image == encode(picture())
    assert run(server, {"content_image": uri.replace("&s=", "&s=0")}).status_code == 200  # a URL
    assert run(server, {"prompt": uri}).status_code == 422
