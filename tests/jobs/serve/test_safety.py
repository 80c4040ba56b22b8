"""The safety check in the answers of all three APIs, with the real network and clients."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import openai
import pytest
import wavespeed
from inferencesh import inference
from PIL import Image

from jobs.serve.actors import worker_spec
from jobs.serve.config import load_serve_config
from jobs.serve.server import serve
from pipelines.errors import ConfigError
from pipelines.worker.stylizer import Stylizer
from tests.jobs.serve.running import Running, config_for, running
from tests.jobs.serve.test_wavespeed import STYLE
from tests.pipelines.painted import BROWN, GREEN, Painted

BROWN_SEED, GREEN_SEED = 7, 8
SMALL = {"width": 32, "height": 48, "num_steps": 2}


@contextmanager
def painting(folder: Path, mode: str) -> Iterator[Running]:
    """Run a server with the check, whose image of `BROWN_SEED` is flagged."""
    config = config_for(folder, safety={"mode": mode})
    stylizer = Stylizer(worker_spec(config), pipeline=Painted({BROWN_SEED: BROWN}))
    with closing(stylizer), running(config, stylizer.stylize) as server:
        yield server


@pytest.fixture(scope="module")
def flagging(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with painting(tmp_path_factory.mktemp("flag"), "flag") as server:
        yield server


@pytest.fixture(scope="module")
def withholding(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with painting(tmp_path_factory.mktemp("withhold"), "withhold") as server:
        yield server


def wavespeed_answer(server: Running, **fields: Any) -> dict[str, Any]:
    """Return the answer in sync mode."""
    given = {"size": "32*48", "num_inference_steps": 2, "reference_images": [STYLE], **fields}
    with server.client() as http:
        answer = http.post("/api/v3/bytedance/uso", json={**given, "enable_sync_mode": True})
    assert answer.status_code == 200
    data: dict[str, Any] = answer.json()["data"]
    return data


def inferencesh_answer(server: Running, seed: int) -> dict[str, Any]:
    given = {"prompt": "a cat", "seed": seed, **SMALL}
    body = {"app": "infsh/bytedance-uso", "input": given, "wait": True}
    with server.client() as http:
        data: dict[str, Any] = http.post("/run", json=body, headers={"X-API-Version": "2"}).json()
    return data


def colour_of(server: Running, url: str) -> tuple[int, int, int]:
    """Return the only colour of an image."""
    with server.client() as http, Image.open(io.BytesIO(http.get(url).content)) as image:
        ((_, colour),) = image.getcolors() or []
    return colour  # type: ignore[return-value]  # an RGB image


def openai_images(server: Running) -> Any:
    """Return the client's images, whose sizes are those of OpenAI's own models to mypy."""
    url = f"{server.url}/v1"
    return openai.OpenAI(api_key=server.secret, base_url=url, max_retries=0).images


def openai_options(seed: int) -> dict[str, Any]:
    extra = {"num_steps": 2, "seed": seed, "response_format": "url"}
    return {"prompt": "a cat", "size": "32x48", "extra_body": extra}


# --- flag ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("seed", "flags"), [(GREEN_SEED, [False]), (BROWN_SEED, [True])])
def test_flags_are_in_all_answers(flagging: Running, seed: int, flags: list[bool]) -> None:
    data = wavespeed_answer(flagging, seed=seed)
    assert (data["status"], data["has_nsfw_contents"]) == ("completed", flags)
    colour = BROWN if flags == [True] else GREEN
    assert colour_of(flagging, data["outputs"][0]) == colour
    assert inferencesh_answer(flagging, seed)["output"]["has_nsfw_contents"] == flags
    (image,) = openai_images(flagging).generate(**openai_options(seed)).data
    assert [image.has_nsfw_content] == flags


def test_each_image_of_a_task_has_its_flag(flagging: Running) -> None:
    data = wavespeed_answer(flagging, seed=BROWN_SEED, num_images=2)
    assert data["has_nsfw_contents"] == [True, False]
    assert len(data["outputs"]) == 2


# --- withhold ------------------------------------------------------------------------------------


def test_wavespeed_gets_code_1200_and_a_blurred_image(withholding: Running) -> None:
    data = wavespeed_answer(withholding, seed=BROWN_SEED)
    assert (data["status"], data["code"], data["has_nsfw_contents"]) == ("failed", 1200, [True])
    assert data["error"].startswith("the safety check withheld image 1 of 1")
    assert len(data["outputs"]) == 1  # flat brown, so blurring keeps it
    assert colour_of(withholding, data["outputs"][0]) == BROWN
    client = wavespeed.Client(api_key=withholding.secret, base_url=withholding.url)
    given = {"seed": BROWN_SEED, "size": "32*48", "reference_images": [STYLE]}
    with pytest.raises(RuntimeError, match="the safety check withheld"):
        client.run("bytedance/uso", {**given, "num_inference_steps": 2})


def test_withholding_lets_other_images_through(withholding: Running) -> None:
    data = wavespeed_answer(withholding, seed=GREEN_SEED)
    assert (data["status"], data["code"], data["has_nsfw_contents"]) == ("completed", 0, [False])


def test_inferencesh_gets_a_failed_task(withholding: Running) -> None:
    task = inferencesh_answer(withholding, BROWN_SEED)
    assert task["status_text"] == "failed"
    assert task["error"].startswith("the safety check withheld")
    assert task["output"]["has_nsfw_contents"] == [True]
    client = inference(api_key=withholding.secret, base_url=withholding.url)
    given = {"prompt": "a cat", "seed": BROWN_SEED, **SMALL}
    with pytest.raises(Exception, match="the safety check withheld"):
        client.run({"app": "infsh/bytedance-uso", "input": given})


def test_openai_gets_moderation_blocked(withholding: Running) -> None:
    with pytest.raises(openai.BadRequestError, match="the safety check withheld") as caught:
        openai_images(withholding).generate(**openai_options(BROWN_SEED))
    assert caught.value.code == "moderation_blocked"


# --- the configuration ---------------------------------------------------------------------------


def test_a_checker_that_is_not_installed_ends_the_server_before_it_listens(
    tmp_path: Path,
) -> None:
    config = load_serve_config(
        {
            "serve": {"database": str(tmp_path / "uso.db"), "port": 0},
            "model": {"base": "tiny"},
            "safety": {"mode": "flag", "checker": "nobody"},
        }
    )
    with pytest.raises(ConfigError, match=r"safety\.checker: 'nobody' is unknown"):
        asyncio.run(serve(config, lambda url, secret: None))
    assert not (tmp_path / "uso.db").exists()
