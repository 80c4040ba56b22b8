"""Any configuration gives a `RunConfig`, or one error that names its source."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import yaml
from hypothesis import strategies as st

from pipelines.config.redaction import redacted
from pipelines.config.schema import RunConfig
from pipelines.errors import ConfigError
from tests.fuzz.fuzzed import fuzzed
from tests.fuzz.tables import damaged

_ROOT = Path(__file__).parents[2]
_WHOLE = [path.read_bytes() for path in sorted((_ROOT / "configs").glob("*.yaml"))]
_SECTIONS = tuple(RunConfig.model_fields)
_KEYS = [
    f"{name}.{key}"
    for name in _SECTIONS
    for key in getattr(RunConfig.model_fields[name].annotation, "model_fields", ())
]
_SECRET = "hush5ecret"
_ODD_VALUES = [
    "null",
    "[]",
    "{}",
    "1",
    "-1",
    "1e400",
    ".nan",
    ".inf",
    "yes",
    "&a [*a]",
    "!!python/name:os",
    "{a: b}",
    "[1, {b: [c]}]",
    "${HOME}",
    "'",
    "%",
    "2026-01-01",
    "0x10",
    "1_0",
    "- a",
    "*x",
]
_VALUES = st.text(max_size=20) | st.sampled_from(_ODD_VALUES)
_OVERRIDES = st.tuples(
    st.sampled_from([*_KEYS, *_SECTIONS, "a.b", "", ".", "manifest.", "stylize.actors.max"])
    | st.text(max_size=12),
    _VALUES,
).map("=".join) | st.text(max_size=15)
_TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from([*_SECTIONS, "path", "min", "env", "s3"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


def check(data: bytes, overrides: list[str]) -> None:
    with tempfile.TemporaryDirectory(prefix="uso-fuzz-") as folder:
        path = Path(folder) / "run.yaml"
        path.write_bytes(data)
        try:
            config = RunConfig.from_yaml(path, overrides)
        except ConfigError as error:
            assert str(error).startswith((str(path), "--set"))
            assert _SECRET not in str(error)
            return
    assert _SECRET not in json.dumps(redacted(config))
    assert RunConfig.model_validate(config.model_dump(mode="json")) == config


@fuzzed(st.sampled_from(_WHOLE).flatmap(damaged), st.lists(_OVERRIDES, max_size=3))
def test_any_damage_to_a_configuration(data: bytes, overrides: list[str]) -> None:
    check(data, overrides)


@fuzzed(st.dictionaries(st.sampled_from(_SECTIONS), _TREES), st.lists(_OVERRIDES, max_size=3))
def test_any_tree(tree: dict[str, object], overrides: list[str]) -> None:
    check(
        yaml.safe_dump({"manifest": {"path": "a"}, "output": {"path": "b"}, **tree}).encode(),
        overrides,
    )


@fuzzed(st.binary(max_size=80))
def test_any_bytes(data: bytes) -> None:
    check(data, [])


@fuzzed(
    st.lists(st.sampled_from(["key", "secret", "a", "client_kwargs"]), min_size=1, max_size=3),
    _VALUES,
)
def test_no_secret_is_shown(path: list[str], beside: str) -> None:
    storage: object = _SECRET
    for name in reversed(path):
        storage = {name: storage}
    tree = {
        "manifest": {"path": f"s3://u:{_SECRET}@bucket/m.parquet?X-Amz-Signature={_SECRET}"},
        "output": {"path": "b"},
        "storage": {"s3": storage, "x": {"y": beside}},
        "ray": {"env": {"AWS_SECRET_ACCESS_KEY": _SECRET}},
    }
    check(yaml.safe_dump(tree).encode(), [])
