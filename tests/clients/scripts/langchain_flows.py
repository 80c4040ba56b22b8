"""LangChain's tool for WaveSpeedAI; run as `SCRIPT URL KEY IMAGE_URL`."""

from __future__ import annotations

import json
import sys
import urllib.request

import wavespeed
from langchain_core.tools import ToolException
from langchain_wavespeed import WaveSpeedImageGeneration, WaveSpeedRunModel

MODEL = "bytedance/uso"


def main(url: str, key: str, image: str) -> None:
    client = wavespeed.Client(api_key=key, base_url=url)
    tool = WaveSpeedRunModel(client=client, poll_interval=0.05)
    given = {
        "reference_images": [image],
        "size": "32*32",
        "num_inference_steps": 1,
        "num_images": 2,
    }
    for value in (given, json.dumps(given)):  # models send either
        urls = tool.invoke({"model": MODEL, "input": value}).splitlines()
        assert len(urls) == 2, urls
        for each in urls:
            with urllib.request.urlopen(each) as answer:
                assert answer.headers["Content-Type"] == "image/png"
    refused(lambda: tool.invoke({"model": "bytedance/other", "input": given}), "no model")
    missing = {**given, "reference_images": [f"{image}.missing"]}
    refused(lambda: tool.invoke({"model": MODEL, "input": missing}), "404")
    plain = WaveSpeedImageGeneration(client=client, model=MODEL)  # it cannot send a style
    refused(lambda: plain.invoke({"prompt": "a cat"}), "reference_images: give 1 to 4")
    print("ok")


def refused(call: object, said: str) -> None:
    try:
        call()  # type: ignore[operator]
    except ToolException as error:
        assert said in str(error), error
    else:
        raise AssertionError(f"no error with {said}")


main(*sys.argv[1:])
