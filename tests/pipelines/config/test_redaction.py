from __future__ import annotations

import json

import pytest

from pipelines.config.redaction import MASK, redacted
from pipelines.config.schema import RunConfig

CONFIG = RunConfig.model_validate(
    {
        "manifest": {
            "path": ["https://user:hidden@host/m.parquet?X-Amz-Signature=hidden&v=1", "m.parquet"]
        },
        "output": {"path": "s3://bucket/out"},
        "defaults": {"content_image": "data:image/png;base64,hidden", "style_images": ["a.png"]},
        "storage": {
            "s3": {
                "endpoint_url": "http://user:hidden@host:9000",
                "key": "${KEY}",
                "secret": "hidden",
                "password": 1234,
                "token": "Bearer ${KEY} hidden",
                "anon": False,
                "client_kwargs": {"region_name": "eu", "api": {"key": ["hidden"]}},
            }
        },
        "ray": {
            "env": {
                "AWS_ENDPOINT_URL": "http://host",
                "AWS_ENDPOINT_URL_S3": "http://s3",
                "AWS_REGION": "eu",
                "HF_TOKEN": "hidden",
                "TOKEN": "${TOKEN}",
            }
        },
        "notify": {"url": "https://hooks.example/hidden", "secret": "${KEY}"},
    }
)


def test_no_secret_is_left() -> None:
    shown = json.dumps(redacted(CONFIG))
    assert "hidden" not in shown
    assert "1234" not in shown


def test_harmless_values_stay() -> None:
    shown = redacted(CONFIG)
    assert shown["manifest"]["path"] == ["https://host/m.parquet?v=1", "m.parquet"]
    assert shown["output"]["path"] == "s3://bucket/out"
    assert shown["defaults"]["style_images"] == ["a.png"]
    assert shown["storage"]["s3"] == {
        "endpoint_url": "http://host:9000",
        "key": "${KEY}",
        "secret": MASK,
        "password": MASK,
        "token": MASK,
        "anon": False,
        "client_kwargs": {"region_name": "eu", "api": {"key": [MASK]}},
    }
    assert shown["ray"]["env"] == {
        "AWS_ENDPOINT_URL": "http://host",
        "AWS_ENDPOINT_URL_S3": "http://s3",
        "AWS_REGION": "eu",
        "HF_TOKEN": MASK,
        "TOKEN": "${TOKEN}",
    }
    assert (shown["notify"]["url"], shown["notify"]["secret"]) == (MASK, "${KEY}")


def test_a_configuration_without_secrets_stays_as_it_is() -> None:
    config = RunConfig.model_validate({"manifest": {"path": "m"}, "output": {"path": "o"}})
    assert redacted(config) == config.model_dump(mode="json")


@pytest.mark.parametrize("key", ["region_key", "endpoint_password", "project_token"])
def test_a_key_that_only_begins_like_a_harmless_one_is_masked(key: str) -> None:
    data = CONFIG.model_dump() | {"storage": {"x": {key: "hidden"}}}
    assert redacted(RunConfig.model_validate(data))["storage"]["x"][key] == MASK


def test_values_that_json_cannot_hold_are_masked_too() -> None:
    options = {"token": b"\xffhidden", "keys": {"hidden"}, "region": b"eu"}
    data = CONFIG.model_dump() | {"storage": {"x": options}}
    shown = redacted(RunConfig.model_validate(data))["storage"]["x"]
    assert json.loads(json.dumps(shown)) == {"token": MASK, "keys": [MASK], "region": "2 bytes"}
