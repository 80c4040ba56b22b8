from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from jobs.serve.config import load_serve_config
from pipelines.config.plain_secrets import plain_secrets
from pipelines.config.schema import RunConfig

CONFIGS = sorted((Path(__file__).parents[3] / "configs").glob("*.yaml"))
YAML = re.compile(r"^```ya?ml\n(.*?)^```", re.MULTILINE | re.DOTALL)


def config(**sections: Any) -> RunConfig:
    return RunConfig.model_validate(
        {"manifest": {"path": "m.parquet"}, "output": {"path": "out"}, **sections}
    )


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_the_example_configurations_contain_no_plain_secrets(path: Path) -> None:
    is_server = path.stem == "serve"
    config = load_serve_config(path).as_run() if is_server else RunConfig.from_yaml(path)
    assert plain_secrets(config) == []


def test_the_examples_in_the_pages_contain_no_plain_secrets() -> None:
    pages = sorted((Path(__file__).parents[3] / "docs").rglob("*.md"))
    blocks = [block for page in pages for block in YAML.findall(page.read_text(encoding="utf-8"))]
    examples = [yaml.safe_load(block) for block in blocks]
    whole = [it for it in examples if set(it) <= set(RunConfig.model_fields)]
    assert len(whole) >= 10
    base = {"manifest": {"path": "m.parquet"}, "output": {"path": "out"}}
    found = {
        str(example): plain_secrets(config(**{**example, **_merged(base, example)}))
        for example in whole
    }
    assert {text: keys for text, keys in found.items() if keys} == {}


def _merged(base: dict[str, Any], example: dict[str, Any]) -> dict[str, Any]:
    return {key: value | example.get(key, {}) for key, value in base.items()}


@pytest.mark.parametrize(
    ("sections", "keys"),
    [
        ({"storage": {"s3": {"key": "AKIA", "region_name": "eu"}}}, ["storage.s3.key"]),
        ({"storage": {"s3": {"client_kwargs": {"x": "y"}}}}, ["storage.s3.client_kwargs.x"]),
        ({"storage": {"az": {"connection_string": "${AZURE}"}}}, []),
        (
            {"storage": {"az": {"connection_string": "AccountKey=${AZURE_KEY}"}}},
            ["storage.az.connection_string"],
        ),
        ({"storage": {"s3": {"secret": "${S3_SECRET}", "default_block_size": 5}}}, []),
        ({"storage": {"s3": {"APIKEY": "x", "anon": True}}}, ["storage.s3.APIKEY"]),
        ({"storage": {"sftp": {"PASSPHRASE": 1234}}}, ["storage.sftp.PASSPHRASE"]),
        ({"storage": {"gs": {"token": b"\xff\x00"}}}, ["storage.gs.token"]),
        ({"storage": {"gs": {"token": {"private_key": 1.5}}}}, ["storage.gs.token.private_key"]),
        (
            {"storage": {"s3": {"unknown": [["${A}", "x"], 7, ("y",), True, None]}}},
            ["storage.s3.unknown.0.1", "storage.s3.unknown.1", "storage.s3.unknown.2.0"],
        ),
        (
            {
                "storage": {
                    "s3": {
                        "client_kwargs": {"endpoint_url": "http://${HOST}:9000", "verify": False},
                        "config_kwargs": {"s3": {"addressing_style": "path"}, "read_timeout": 5},
                        "use_ssl": True,
                        "requester_pays": True,
                    },
                    "abfs": {"account_name": "me"},
                    "gs": {"project": "p", "endpoint_url": "http://127.0.0.1:4443"},
                }
            },
            [],
        ),
        (
            {"ray": {"env": {"APIKEY": "x", "MY_JWT": "y", "X": "z"}}},
            ["ray.env.APIKEY", "ray.env.MY_JWT", "ray.env.X"],
        ),
        (
            {
                "ray": {
                    "env": {
                        "NCCL_DEBUG": "INFO",
                        "RAY_AUTH_TOKEN_PATH": "/x",
                        "AWS_REGION": "eu",
                        "HF_HUB_OFFLINE": "1",
                        "OMP_NUM_THREADS": "4",
                        "PYTHONPATH": "/code",
                    }
                }
            },
            [],
        ),
        (
            {"ray": {"env": {"RAY_AUTH_TOKEN": "x", "OTEL_EXPORTER_OTLP_HEADERS": "a=b"}}},
            ["ray.env.RAY_AUTH_TOKEN", "ray.env.OTEL_EXPORTER_OTLP_HEADERS"],
        ),
        ({"ray": {"env": {"HTTPS_PROXY": "http://u:p@proxy"}}}, ["ray.env.HTTPS_PROXY"]),
        ({"ray": {"env": {"ALL_PROXY": "u:p@proxy:3128"}}}, ["ray.env.ALL_PROXY"]),
        ({"ray": {"env": {"HF_PAT": "x", "MY_PAT": "y"}}}, ["ray.env.HF_PAT", "ray.env.MY_PAT"]),
        (
            {
                "ray": {
                    "env": {
                        "TOKENIZERS_PARALLELISM": "false",
                        "AWS_MAX_ATTEMPTS": "3",
                        "REQUESTS_CA_BUNDLE": "/etc/ca.pem",
                        "GOOGLE_CLOUD_PROJECT": "p",
                    }
                },
                "storage": {"s3": {"s3_additional_kwargs": {"ServerSideEncryption": "AES256"}}},
            },
            [],
        ),
        ({"notify": {"url": "https://hooks.example/${PART}"}}, ["notify.url"]),
        ({"storage": {"s3": {"endpoint_url": "https://u:p@s3.x"}}}, ["storage.s3.endpoint_url"]),
        ({"ray": {"env": {"HF_TOKEN": "hf_x", "HF_HOME": "/cache"}}}, ["ray.env.HF_TOKEN"]),
        ({"ray": {"env": {"AWS_SECRET_ACCESS_KEY": "${KEY}"}}}, []),
        ({"manifest": {"path": "https://user:pass@host/m.parquet"}}, ["manifest.path"]),
        ({"manifest": {"path": ["a", "https://h/m?X-Amz-Signature=1"]}}, ["manifest.path.1"]),
    ],
)
def test_plain_secrets_are_found(sections: dict[str, Any], keys: list[str]) -> None:
    assert plain_secrets(config(**sections)) == keys
