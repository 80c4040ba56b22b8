from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.keys.index import row_key
from pipelines.manifest.row_identity import Fingerprints, content_hash, derived_seed, shard_of
from pipelines.manifest.row_ids import RowIds
from tests.pipelines.manifests import config
from uso_core.request import MAX_SEED, Parameters

ROW: dict[str, Any] = {
    "prompt": "a fox",
    "content_image": "s3://bucket/a.png",
    "style_images": ("s3://bucket/b.png", "s3://bucket/c.png"),
    "parameters": Parameters(width=512, height=768, seed=5),
}


def fingerprint(model: str = "m", changes: dict[str, Any] | None = None, **sections: Any) -> str:
    row = {**ROW, **(changes or {})}
    return Fingerprints(config("m.parquet", **sections), model).of_row(**row)


def test_identities_do_not_change_between_versions() -> None:
    """If one of these changes, a new version generates every recorded row again."""
    assert fingerprint() == "3428d26e7f42c5a465294f7375b5365b"
    assert content_hash({"prompt": "a fox", "num_steps": 25}) == "f97cafdc151b2dd51f99cefebdbccdf2"
    assert derived_seed(0, "row-1", 1) == 1172870254
    assert shard_of(row_key("row-1"), 16) == 13


@pytest.mark.parametrize(
    "changes",
    [
        {"prompt": "a fox."},
        {"content_image": None},
        {"content_image": b"png"},
        {"style_images": ("s3://bucket/c.png", "s3://bucket/b.png")},
        {"style_images": ("s3://bucket/b.png",)},
        {"style_weights": (1.0, 0.5)},
        {"style_weights": (0.0, 0.0)},
        *[
            {"parameters": dataclasses.replace(ROW["parameters"], **change)}
            for change in (
                {"width": None},
                {"height": 784},
                {"num_steps": 24},
                {"guidance": 4.5},
                {"seed": 6},
                {"keep_size": True},
                {"content_long_size": 0},
                {"num_images": 2},
            )
        ],
    ],
)
def test_everything_that_changes_the_image_changes_the_fingerprint(changes: dict[str, Any]) -> None:
    assert fingerprint(changes=changes) != fingerprint()


def test_model_and_file_settings_change_the_fingerprint() -> None:
    webp = {"path": "/tmp/out", "format": "webp"}
    found = [
        fingerprint(),
        fingerprint(model="other"),
        fingerprint(fetch={"exif_rotate": False}),
        fingerprint(fetch={"colour": "original"}),
        fingerprint(output={"path": "/tmp/out", "format": "jpeg"}),
        fingerprint(output={"path": "/tmp/out", "format": "jpeg", "quality": 80}),
        fingerprint(output=webp),
        fingerprint(output={**webp, "lossless": True}),
    ]
    assert len(set(found)) == len(found)


def test_other_settings_leave_the_fingerprint_unchanged() -> None:
    assert fingerprint(output={"path": "/tmp/other", "quality": 50}) == fingerprint()
    assert fingerprint(fetch={"timeout_s": 5}, stylize={"actors": 3}) == fingerprint()
    assert fingerprint(fetch={"colour": "convert"}) == fingerprint()


def test_weights_are_told_apart_and_ones_equal_no_weights() -> None:
    weights = [(0.5, 1.0), (1.0, 0.5), (0.5, 0.5), (0.0, 1.0), (1.0, 2.0)]
    found = {fingerprint(changes={"style_weights": each}) for each in weights}
    assert len(found) == len(weights)
    for ones in (None, (1.0, 1.0), (1, 1)):
        assert fingerprint(changes={"style_weights": ones}) == fingerprint()


@pytest.mark.parametrize("ones", [None, [1.0], [1, 1], "[1, 1.0]", []])
def test_the_content_hash_ignores_weights_of_one(ones: object) -> None:
    plain = {"prompt": "a fox", "num_steps": 25}
    assert content_hash({**plain, "style_weights": ones}) == content_hash(plain)


@pytest.mark.parametrize("weights", [[0.5], [1, 0], "[1, 2]", ["x"], [True], "x", float("nan")])
def test_the_content_hash_depends_on_other_weights(weights: object) -> None:
    plain = {"prompt": "a fox", "num_steps": 25}
    assert content_hash({**plain, "style_weights": weights}) != content_hash(plain)


def test_a_link_with_a_new_signature_is_the_same_image() -> None:
    first = fingerprint(changes={"content_image": "https://h/a.png?v=1&X-Amz-Signature=aa"})
    second = fingerprint(changes={"content_image": "https://h/a.png?v=1&X-Amz-Signature=bb"})
    other = fingerprint(changes={"content_image": "https://h/a.png?v=2&X-Amz-Signature=bb"})
    assert first == second != other
    signed = [{"content_image": f"https://h/a.png?sig={letter}"} for letter in "ab"]
    assert content_hash(signed[0]) == content_hash(signed[1])


def test_facts_have_borders() -> None:
    one = fingerprint(changes={"style_images": ("ab", "c")})
    other = fingerprint(changes={"style_images": ("a", "bc")})
    assert one != other


def test_the_content_hash_ignores_nulls_order_and_storage_types() -> None:
    one = content_hash({"prompt": "x", "width": 512, "seed": None})
    other = content_hash({"width": 512.0, "prompt": "x"})
    assert one == other
    assert content_hash({"prompt": "x", "width": 513}) != one


def test_the_content_hash_takes_any_cell() -> None:
    odd = {"prompt": "\ud800", "guidance": float("nan"), "content_image": b"\xff", "id": [{"a": 1}]}
    assert content_hash(odd) == content_hash(dict(odd))
    assert content_hash("text of a broken line") != content_hash("another")


@given(st.integers(0, MAX_SEED), st.text("aé\n/~.0", max_size=20), st.integers(1, 8))
def test_derived_seeds_are_accepted(run_seed: int, row_id: str, num_images: int) -> None:
    seed = derived_seed(run_seed, row_id, num_images)
    assert seed >= 0
    assert seed + num_images - 1 <= MAX_SEED


def test_seeds_follow_run_seed_and_id() -> None:
    seeds = {derived_seed(run, row, 1) for run in range(10) for row in map(str, range(10))}
    assert len(seeds) == 100


def test_shards_are_even() -> None:
    counts = [0] * 4
    for index in range(4000):
        counts[shard_of(row_key(str(index)), 4)] += 1
    assert min(counts) > 900


def test_repeats_are_counted_across_batches() -> None:
    ids = RowIds()
    assert ids.claim(["a", "b", "a"]) == [1, 1, 2]
    assert ids.claim(["a", "c", "a", "b"]) == [3, 1, 4, 2]


def test_a_variant_is_unique_even_if_its_name_is_taken() -> None:
    ids = RowIds()
    ids.claim(["a", "a-2", "a-3"])
    assert ids.variant("a", "-", 2) == "a-4"
    assert ids.variant("a", "-", 2) == "a-5"
