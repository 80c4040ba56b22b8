from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.config.schema import RunConfig, load_config
from pipelines.errors import ConfigError
from tests.pipelines.config.yaml_files import MINIMAL, problems


def test_a_file_gives_a_configuration(file: Path) -> None:
    config = load_config(file)
    assert config == RunConfig.model_validate(
        {"manifest": {"path": "m.parquet"}, "output": {"path": "out"}}
    )
    assert RunConfig.from_yaml(str(file)) == config


def test_a_section_with_all_lines_commented_out_has_its_defaults(file: Path) -> None:
    file.write_text(MINIMAL + "defaults:\n  # width: 512\nfetch:\n", encoding="utf-8")
    assert RunConfig.from_yaml(file).defaults.width is None


# --set


@pytest.mark.parametrize(
    ("override", "keys", "value"),
    [
        ("manifest.limit=5", ("manifest", "limit"), 5),
        ("manifest.limit=", ("manifest", "limit"), None),
        ("manifest.path=*.parquet", ("manifest", "path"), "*.parquet"),
        ("manifest.path=[a.parquet, b.parquet]", ("manifest", "path"), ["a.parquet", "b.parquet"]),
        ("manifest.path=s3://b/a=b.parquet", ("manifest", "path"), "s3://b/a=b.parquet"),
        ("defaults.prompt=a fox, asleep", ("defaults", "prompt"), "a fox, asleep"),
        ("defaults.keep_size=true", ("defaults", "keep_size"), True),
        ("on_error.max_failed_fraction=0.1", ("on_error", "max_failed_fraction"), 0.1),
        ("manifest.columns.prompt=caption", ("manifest", "columns"), {"prompt": "caption"}),
        ("storage.s3.key=${KEY}", ("storage",), {"s3": {"key": "${KEY}"}}),
        ("model.base_revision='12'", ("model", "base_revision"), "12"),
        ("output.path=/data/run #1", ("output", "path"), "/data/run #1"),
        ("output.path=#1", ("output", "path"), "#1"),
        ("defaults.prompt='a #1'", ("defaults", "prompt"), "a #1"),
        ("manifest.path=[a.parquet, 'b #1']", ("manifest", "path"), ["a.parquet", "b #1"]),
    ],
)
def test_overrides(file: Path, override: str, keys: tuple[str, ...], value: object) -> None:
    found: Any = RunConfig.from_yaml(file, [override])
    for key in keys:
        found = getattr(found, key)
    assert found == value


def test_the_last_override_wins_and_other_keys_stay(file: Path) -> None:
    file.write_text(MINIMAL + "stylize: {actors: 3, seed: 9}\n", encoding="utf-8")
    changes = ["stylize.actors=5", "stylize.actors={min: 1, max: 4}"]
    stylize = RunConfig.from_yaml(file, changes).stylize
    assert (stylize.min_actors, stylize.max_actors, stylize.seed) == (1, 4, 9)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("manifest.limit", "--set: 'manifest.limit' does not have the form a.b=c"),
        ("=5", "--set: '=5' does not have the form a.b=c"),
        ("a..b=5", "--set: 'a..b=5' does not have the form a.b=c"),
        ("manifest.path.x=5", "--set manifest.path.x: manifest.path is not a section"),
        ("manifest.limit=0", "manifest.limit (from --set): 0 is not accepted; give an integer"),
        ("modle.base=x", "modle (from --set): unknown key; did you mean model?"),
        (
            "model.base_revision=12",
            "model.base_revision (from --set): 12 is not accepted; give a string or null (in",
        ),
    ],
)
def test_overrides_that_are_not_accepted(file: Path, override: str, message: str) -> None:
    (found,) = problems(file, MINIMAL, override)
    assert found.startswith(message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (MINIMAL + "output: {path: other}\n", "line 3, column 1: the key 'output' is given twice"),
        ("manifest: {path: a, path: b}", "line 1, column 21: the key 'path' is given twice"),
        ("manifest: [1", "line 1, column 13: "),
        ("manifest: !!python/object:os.system x", "line 1, column 11: could not determine"),
        ("model: {base_revision: 2024-13-01}", "line 1, column 24: not a valid timestamp; if it"),
        (f"fetch: {{timeout_s: {'9' * 5000}}}", "line 1, column 20: not a valid int; if it is"),
        ("", "is not a mapping; begin with a section"),
        ("- 1", "is not a mapping; begin with a section"),
        ("manifest: {a: ${X}}", "line 1, column 16: expected"),
        ("manifest: &a [*a]", "is nested too deeply"),
        (f"manifest: [{'1,' * 10_000}]", "contains more than 10,000 values"),
        ("[" * 500, "is nested too deeply"),
        ("a: \x00", "contains characters that YAML does not allow"),
    ],
    ids=[
        "twice",
        "twice inline",
        "open",
        "tag",
        "date",
        "digits",
        "empty",
        "list",
        "variable",
        "circle",
        "large",
        "deep",
        "characters",
    ],
)
def test_files_that_are_not_a_configuration(file: Path, text: str, message: str) -> None:
    (found,) = problems(file, text)
    assert found.startswith(message)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"missing\.yaml: cannot be read \(No such file"):
        RunConfig.from_yaml(tmp_path / "missing.yaml")
    with pytest.raises(ConfigError, match="cannot be read"):
        RunConfig.from_yaml(tmp_path)
    (tmp_path / "binary.yaml").write_bytes(b"a: \xff")
    with pytest.raises(ConfigError, match="is not UTF-8 at byte 3"):
        RunConfig.from_yaml(tmp_path / "binary.yaml")


def test_anchors_and_merges_work_as_in_plain_yaml(file: Path) -> None:
    text = "x: &x {path: out}\nmanifest: {path: m}\noutput: {<<: *x, path: other}\n"
    file.write_text(text.replace("x: &x {path: out}\n", ""), encoding="utf-8")
    (found,) = problems(file, text)
    assert found.startswith("x: unknown key")


YAML = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text("ab${}.=:\n", max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["path", "actors", "columns", "s3", "env", "x", "width"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=6,
)


@settings(max_examples=30)
@given(
    st.dictionaries(st.sampled_from([*RunConfig.model_fields, "other"]), YAML),
    st.lists(st.text("ab.=[]{}:*&!'", max_size=12), max_size=2),
)
def test_any_file_gives_a_configuration_or_one_kind_of_error(
    tmp_path_factory: pytest.TempPathFactory, data: dict[str, Any], overrides: list[str]
) -> None:

    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_text(yaml.safe_dump(data), encoding="utf-8")
    try:
        config = RunConfig.from_yaml(path, overrides)
    except ConfigError:
        return
    assert RunConfig.model_validate(config.model_dump()) == config


@pytest.mark.parametrize(
    ("given", "meant"), [("runs/x.yaml", "runs/x.yaml"), ("~/x.yaml", "me/x.yaml"), ("~x", "~x")]
)
def test_a_missing_file_is_reported_with_its_absolute_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str, meant: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as caught:
        RunConfig.from_yaml(given)
    said = f"{given}: cannot be read (No such file or directory) ({tmp_path / meant})"
    assert str(caught.value) == said
