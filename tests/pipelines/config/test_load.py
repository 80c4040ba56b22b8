from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.config.model import ModelConfig
from pipelines.config.schema import RunConfig
from pipelines.errors import ConfigError
from uso_core.presets import PRESETS

MINIMAL = "manifest: {path: m.parquet}\noutput: {path: out}\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "run.yaml"
    path.write_text(MINIMAL, encoding="utf-8")
    return path


def problems(path: Path, text: str = MINIMAL, *overrides: str) -> list[str]:
    """What is said of each key that is not accepted."""
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        RunConfig.from_yaml(path, overrides)
    assert pickle.loads(pickle.dumps(caught.value)).args == caught.value.args
    first, *others = str(caught.value).split("\n")
    assert first.startswith((f"{path}:", "--set"))
    return [line.strip() for line in others] or [first.removeprefix(f"{path}: ")]


def test_a_file_gives_a_configuration(file: Path) -> None:
    config = RunConfig.from_yaml(file)
    assert config == RunConfig.model_validate(
        {"manifest": {"path": "m.parquet"}, "output": {"path": "out"}}
    )
    assert RunConfig.from_yaml(str(file)) == config


def test_a_section_with_every_line_commented_out_is_as_absent(file: Path) -> None:
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


def test_the_last_override_counts_and_the_rest_stays(file: Path) -> None:
    file.write_text(MINIMAL + "stylize: {actors: 3, seed: 9}\n", encoding="utf-8")
    changes = ["stylize.actors=5", "stylize.actors={min: 1, max: 4}"]
    stylize = RunConfig.from_yaml(file, changes).stylize
    assert (stylize.min_actors, stylize.max_actors, stylize.seed) == (1, 4, 9)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("manifest.limit", "--set: 'manifest.limit' is not of the form a.b=c"),
        ("=5", "--set: '=5' is not of the form a.b=c"),
        ("a..b=5", "--set: 'a..b=5' is not of the form a.b=c"),
        ("manifest.path.x=5", "--set manifest.path.x: manifest.path is no section"),
        ("manifest.limit=0", "manifest.limit (from --set): 0 is not accepted; give an integer"),
        ("modle.base=x", "modle (from --set): unknown key; did you mean model?"),
        (
            "model.base_revision=12",
            "model.base_revision (from --set): 12 is not accepted; give text or null (in quotes: ",
        ),
    ],
)
def test_overrides_that_are_not_accepted(file: Path, override: str, message: str) -> None:
    (found,) = problems(file, MINIMAL, override)
    assert found.startswith(message)


# What is not accepted


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("stylize: {actrs: 1}", "stylize.actrs: unknown key; did you mean stylize.actors?"),
        ("defaults: {style_weights: [1]}", "defaults: style_weights has no default"),
        ("stylise: {}", "stylise: unknown key; did you mean stylize?"),
        ("stylize: {width: 512}", "stylize.width: unknown key; did you mean defaults.width?"),
        ("stylize: {xyz: 1}", "stylize.xyz: unknown key; the keys here are actors, gpus_per_actor"),
        ("stylize: {actors: two}", "stylize.actors: 'two' is not accepted; give an integer of at "),
        ("stylize: {actors: {max: 0}}", "stylize.actors.max: 0 is not accepted; give an integer "),
        ("stylize: {actors: {min: 1}}", "stylize.actors.max: is missing; give an integer of at "),
        ("stylize: {actors: {min: 4, max: 2}}", "stylize.actors: min 4 is more than max 2"),
        ("stylize: {rows_in_flight: 65}", "stylize.rows_in_flight: 65 is not accepted; give an "),
        ("stylize: {actors: on}", "stylize.actors: True is not accepted; give an integer of at "),
        ("fetch: {timeout_s: yes}", "fetch.timeout_s: True is not accepted; give a number of"),
        ("stylize: 3", "stylize: 3 is not accepted; give a section with actors, "),
        ("model: {dtype: fp8}", "model.dtype: 'fp8' is not accepted; give auto or float32 or"),
        ("fetch: {timeout_s: .inf}", "fetch.timeout_s: inf is not accepted; give a number of more"),
        ("fetch: {timeout_s: 0}", "fetch.timeout_s: 0 is not accepted; give a number of more than"),
        ("fetch: {exif_rotate: 5}", "fetch.exif_rotate: 5 is not accepted; give true or false"),
        ("fetch: {local_roots: /data}", "fetch.local_roots: '/data' is not accepted; give a list"),
        ("fetch: {local_roots: [1]}", "fetch.local_roots.0: 1 is not accepted; give text"),
        (
            'defaults: {prompt: "${X}"}',
            "defaults.prompt: '${X}': ${NAME} is replaced in storage, ray.env, notify.url, notify.",
        ),
        ("notify: {url: 'ftp://sesame'}", "notify.url: is no http:// or https:// URL"),
        ("notify: {secret: sesame}", "notify.secret: is not written here; name an environment"),
        ("notify: {events: []}", "notify.events: [] is not accepted; give a list of start or"),
        ("on: 5", "True: this key is no text; put it in quotes"),
    ],
)
def test_one_problem(file: Path, line: str, message: str) -> None:
    (found,) = problems(file, MINIMAL + line)
    assert found.startswith(message)


def test_every_problem_is_told_at_once(file: Path) -> None:
    text = "manifest: {path: 3, shard: 2/2}\nmodl: {}\nfetch:\n  max_mb: ${X}\n"
    found = problems(file, text, "stylize.actors=0")
    assert {line.partition(":")[0] for line in found} == {
        "manifest.path",
        "manifest.shard",
        "modl",
        "fetch.max_mb",
        "output",
        "stylize.actors (from --set)",
    }


def test_what_may_be_a_secret_is_not_shown(file: Path) -> None:
    text = MINIMAL + "storage: {s3: 123456}\nray: {env: {TOKEN: 123456}}\n"
    found = problems(file, text)
    assert len(found) == 2
    assert not any("123456" in line for line in found)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (MINIMAL + "output: {path: other}\n", "line 3, column 1: the key 'output' is there twice"),
        ("manifest: {path: a, path: b}", "line 1, column 21: the key 'path' is there twice"),
        ("manifest: [1", "line 1, column 13: "),
        ("manifest: !!python/object:os.system x", "line 1, column 11: could not determine"),
        ("model: {base_revision: 2024-13-01}", "line 1, column 24: this is no timestamp; put it"),
        (f"fetch: {{timeout_s: {'9' * 5000}}}", "line 1, column 20: this is no int; put it in"),
        ("", "is no mapping"),
        ("- 1", "is no mapping"),
        ("manifest: {a: ${X}}", "line 1, column 16: expected"),
        ("manifest: &a [*a]", "is nested too deeply"),
        (f"manifest: [{'1,' * 10_000}]", "holds more than 10,000 values"),
        ("[" * 500, "is nested too deeply"),
        ("a: \x00", "holds characters that YAML does not allow"),
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
def test_what_is_no_configuration(file: Path, text: str, message: str) -> None:
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


def test_anchors_and_merges_are_plain_yaml(file: Path) -> None:
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


# presets


def test_a_preset_takes_its_options() -> None:
    config = ModelConfig(preset="fp8+cache", cache_threshold=0.2)
    assert config.chosen_preset == replace(PRESETS["fp8+cache"], cache_threshold=0.2)
    assert ModelConfig(preset="draft").chosen_preset == PRESETS["draft"]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ("cache_threshold: 0.1", "exact has no cache"),
        ("preset: fp8, device: cpu", "fp8 needs a GPU; device is cpu"),
        ("preset: tiny_vram, device: cpu", "tiny_vram needs a GPU"),
        ("preset: low_vram, compile: true", "low_vram cannot be compiled"),
        ("preset: fp8+cash", "fp8+cache"),
    ],
)
def test_options_that_do_not_go_together(file: Path, options: str, reason: str) -> None:
    assert reason in problems(file, f"{MINIMAL}model: {{{options}}}\n")[0]


# batches


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_images_are_drawn_together_only_where_the_preset_allows_it(preset: str, file: Path) -> None:
    overrides = ["stylize.batch_images=4", f"model.preset={preset}"]
    if preset in {"fp8", "low_vram"}:
        assert RunConfig.from_yaml(file, overrides).stylize.batch_images == 4
    else:
        (said,) = problems(file, MINIMAL, *overrides)
        assert "stylize.batch_images is 4" in said
        assert "fp8 or low_vram" in said


def test_a_preset_for_gpus_needs_actors_with_gpus(file: Path) -> None:
    text = f"{MINIMAL}model: {{preset: tiny_vram}}\nstylize: {{gpus_per_actor: 0}}\n"
    assert "tiny_vram needs a GPU, and stylize.gpus_per_actor is 0" in problems(file, text)[0]
