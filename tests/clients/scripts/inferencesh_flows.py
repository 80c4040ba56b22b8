"""Each call of inference.sh's Python client, whatever its version; run as `SCRIPT URL KEY PICTURE`.

It runs outside of pytest, in the environment of the version.
"""

from __future__ import annotations

import asyncio
import base64
import sys
import urllib.request
from importlib.metadata import version
from pathlib import Path
from typing import Any

from inferencesh import APIError, TaskStatus, async_inference, inference

APP = "infsh/bytedance-uso"
SMALL = {"prompt": "a cat", "width": 32, "height": 32, "num_steps": 1, "content_long_size": 32}


def main(url: str, key: str, picture: str) -> None:
    client = inference(api_key=key, base_url=url)
    for flow in FLOWS:
        flow(client, picture)
        print("ok", flow.__name__)
    runs_and_waits(inference(api_key=key, base_url=f"{url}/"), picture)
    wrong_key(url)
    asyncio.run(all_async(url, key, picture))
    print("ok async")


def data(answer: Any) -> Any:
    """Return the object in an answer, which newer versions wrap."""
    return getattr(answer, "data", answer)


def is_complete(task: Any) -> None:
    assert task["status"] == TaskStatus.COMPLETED, task
    assert task["input"]["prompt"] == "a cat", task
    image = task["output"]["generated_image"]
    with urllib.request.urlopen(image["uri"]) as answer:
        assert answer.headers["Content-Type"] == image["content_type"] == "image/png"
        content = answer.read()
    assert content.startswith(b"\x89PNG"), content[:20]
    assert len(content) == image["size"]


def inputs(picture: str) -> list[dict[str, Any]]:
    """Return the kinds of images that the client takes."""
    inline = base64.b64encode(Path(picture).read_bytes()).decode()
    return [
        {"content_image": picture},
        {"content_image": f"data:image/png;base64,{inline}", "style_image": picture},
        {"style_images": [picture, f"data:image/png;base64,{inline}"]},
        {"content_image": "", "style_image": inline},
    ]


def runs_and_waits(client: Any, picture: str) -> None:
    for given in inputs(picture):
        is_complete(client.run({"app": APP, "input": {**SMALL, **given}}))


def streams(client: Any, _: str) -> None:
    updates = list(client.run({"app": f"{APP}@latest", "input": SMALL}, stream=True))
    is_complete(updates[-1])
    task_id = updates[-1]["id"]
    assert all(update["id"] == task_id for update in updates)
    again = list(client.stream_task(task_id))  # of an ended task
    assert again[-1]["status"] == TaskStatus.COMPLETED


def does_not_wait(client: Any, _: str) -> None:
    task = client.run({"app": APP, "input": {**SMALL, "seed": 2**31 - 1}}, wait=False)
    assert task["status"] < TaskStatus.COMPLETED
    assert task["output"] is None
    is_complete(client.wait_for_completion(task["id"]))
    known = data(client.get_task(task["id"]))
    assert known["input"]["seed"] == 2**31 - 1
    assert [event["status"] for event in known["events"]][:2] == [1, 2]


def cancels(client: Any, _: str) -> None:
    # The server draws one at a time: the last one waits.
    long = {**SMALL, "num_steps": 50, "width": 64, "height": 64}
    tasks = [client.run({"app": APP, "input": long}, wait=False) for _ in range(5)]
    for task in reversed(tasks):
        client.cancel(task["id"])
    refused(lambda: client.wait_for_completion(tasks[-1]["id"]), "ancelled")
    client.cancel(tasks[-1]["id"])  # of an ended task: nothing changes


def uploads(client: Any, picture: str) -> None:
    content = Path(picture).read_bytes()
    for given in (picture, content, base64.b64encode(content).decode()):
        file = client.upload_file(given)
        with urllib.request.urlopen(file["uri"]) as answer:
            assert answer.read() == content
    is_complete(client.run({"app": APP, "input": {**SMALL, "content_image": file["uri"]}}))
    is_complete(client.run({"app": APP, "input": {**SMALL, "content_image": file}}))


def refused(call: Any, *said: str) -> None:
    try:
        call()
    except (APIError, RuntimeError) as error:
        text = str(error)
        assert all(part in text for part in said), text
    else:
        raise AssertionError(f"no error with {said}")


def errors(client: Any, _: str) -> None:
    def run(app: str = APP, **given: Any) -> Any:
        return client.run({"app": app, "input": {**SMALL, **given}})

    refused(lambda: run(width=33), "input.width: 33 is not accepted")
    refused(lambda: run(app="infsh/other"), "there is no such app")
    refused(lambda: run(content_image="file:///etc/passwd"), "give an http(s) URL")
    refused(lambda: run(content_image="https://no.such.host.invalid/a.png"), "host")
    refused(lambda: run(prompt="photorealisticca"), "add a space")  # the client uploads it
    refused(lambda: client.get_task("none"), "there is no such task")


FLOWS = (runs_and_waits, streams, does_not_wait, cancels, uploads, errors)


def wrong_key(url: str) -> None:
    stranger = inference(api_key="nope", base_url=url)
    refused(lambda: stranger.run({"app": APP, "input": SMALL}), "unknown or revoked")


async def all_async(url: str, key: str, picture: str) -> None:
    client = async_inference(api_key=key, base_url=url)
    kinds = inputs(picture)
    if version("inferencesh") == "0.6.5":  # it cannot open a file with the aiofiles of today
        kinds = [{"content_image": kinds[1]["content_image"]}]
    results = await asyncio.gather(
        *(client.run({"app": APP, "input": {**SMALL, **given}}) for given in kinds)
    )
    for task in results:
        is_complete(task)
    updates = [each async for each in await client.run({"app": APP, "input": SMALL}, stream=True)]
    is_complete(updates[-1])
    task = await client.run({"app": APP, "input": SMALL}, wait=False)
    is_complete(await client.wait_for_completion(task["id"]))
    try:
        await client.run({"app": APP, "input": {**SMALL, "width": 33}})
    except (APIError, RuntimeError) as error:
        assert "input.width" in str(error), error
    else:
        raise AssertionError("no error")


if __name__ == "__main__":
    main(*sys.argv[1:])
