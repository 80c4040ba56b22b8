from __future__ import annotations

from pathlib import Path

import pytest

from tests.pipelines.config.yaml_files import MINIMAL, problems


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
        ("fetch: {timeout_s: yes}", "fetch.timeout_s: True is not accepted; give a number greate"),
        ("stylize: 3", "stylize: 3 is not accepted; give a section with actors, "),
        ("model: {dtype: fp8}", "model.dtype: 'fp8' is not accepted; give auto, float32 or"),
        ("fetch: {timeout_s: .inf}", "fetch.timeout_s: inf is not accepted; give a number greate"),
        ("fetch: {timeout_s: 0}", "fetch.timeout_s: 0 is not accepted; give a number greater"),
        ("fetch: {exif_rotate: 5}", "fetch.exif_rotate: 5 is not accepted; give true or false"),
        ("fetch: {local_roots: /data}", "fetch.local_roots: '/data' is not accepted; give a list"),
        ("fetch: {local_roots: [1]}", "fetch.local_roots.0: 1 is not accepted; give a string"),
        (
            'defaults: {prompt: "${X}"}',
            "defaults.prompt: '${X}': ${NAME} is replaced in storage, ray.env, notify.url, notify.",
        ),
        ("notify: {url: 'ftp://sesame'}", "notify.url: is not an http:// or https:// URL"),
        ("notify: {secret: sesame}", "notify.secret: must not be in the file; name an environ"),
        ("notify: {events: []}", "notify.events: [] is not accepted; give a list of start, progre"),
        ("fetch: {1: 2}", "fetch.1: this key must be a string; put it in quotes"),
        ("storage: {s3: {1: [2]}}", "storage.s3.1: this key must be a string; put it in quotes"),
        ("ray: {env: {1: 2}}", "ray.env.1: this key must be a string; put it in quotes"),
        ("on: 5", "True: this key must be a string; put it in quotes"),
    ],
)
def test_one_problem(file: Path, line: str, message: str) -> None:
    (found,) = problems(file, MINIMAL + line)
    assert found.startswith(message)


def test_all_problems_are_reported_at_once(file: Path) -> None:
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


def test_a_value_that_may_be_a_secret_is_not_shown(file: Path) -> None:
    text = MINIMAL + "storage: {s3: 123456}\nray: {env: {TOKEN: 123456}}\n"
    found = problems(file, text)
    assert len(found) == 2
    assert not any("123456" in line for line in found)
