from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipelines.config.plain_secrets import plain_secrets
from pipelines.config.schema import RunConfig

CONFIGS = sorted((Path(__file__).parents[3] / "configs").glob("*.yaml"))


def config(**sections: Any) -> RunConfig:
    return RunConfig.model_validate(
        {"manifest": {"path": "m.parquet"}, "output": {"path": "out"}, **sections}
    )


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_the_example_configurations_contain_no_plain_secrets(path: Path) -> None:
    assert plain_secrets(RunConfig.from_yaml(path)) == []


@pytest.mark.parametrize(
    ("sections", "keys"),
    [
        ({"storage": {"s3": {"key": "AKIA", "region_name": "eu"}}}, ["storage.s3.key"]),
        ({"storage": {"s3": {"client_kwargs": {"x": "y"}}}}, ["storage.s3.client_kwargs.x"]),
        ({"storage": {"az": {"connection_string": "AccountKey=${AZURE_KEY}"}}}, []),
        ({"storage": {"s3": {"secret": "${S3_SECRET}", "default_block_size": 5}}}, []),
        ({"storage": {"s3": {"endpoint_url": "https://u:p@s3.x"}}}, ["storage.s3.endpoint_url"]),
        ({"ray": {"env": {"HF_TOKEN": "hf_x", "HF_HOME": "/cache"}}}, ["ray.env.HF_TOKEN"]),
        ({"ray": {"env": {"AWS_SECRET_ACCESS_KEY": "${KEY}"}}}, []),
        ({"manifest": {"path": "https://user:pass@host/m.parquet"}}, ["manifest.path"]),
        ({"manifest": {"path": ["a", "https://h/m?X-Amz-Signature=1"]}}, ["manifest.path.1"]),
    ],
)
def test_plain_secrets_are_found(sections: dict[str, Any], keys: list[str]) -> None:
    assert plain_secrets(config(**sections)) == keys
