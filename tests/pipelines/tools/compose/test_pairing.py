from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from pipelines.errors import ComposeError
from pipelines.tools.compose.pairing import (
    Ingredients,
    RandomStyles,
    Rows,
    grid,
    random_styles,
    zipped,
)

CONTENTS = ("/c/cat.jpg", "/c/dog.jpg", "/c/owl.jpg")
STYLES = tuple(f"/s/s{n}.png" for n in range(8))


def listed(rows: Rows) -> list[dict[str, Any]]:
    found = [row for batch in rows.batches for row in batch.to_pylist()]
    assert len(found) == rows.count
    assert len({row["id"] for row in found}) == rows.count
    return found


def test_a_grid_has_every_combination_once() -> None:
    rows = listed(grid(Ingredients(CONTENTS, STYLES[:2], ("", "in the snow"))))
    assert len(rows) == 12
    assert rows[3] == {
        "id": "cat--s1--in_the_snow",
        "content_image": "/c/cat.jpg",
        "style_image": "/s/s1.png",
        "prompt": "in the snow",
    }
    assert len({(row["content_image"], row["style_image"], row["prompt"]) for row in rows}) == 12


def test_an_absent_kind_gives_no_column_and_no_part_of_the_id() -> None:
    rows = listed(grid(Ingredients(styles=STYLES[:2])))
    assert rows == [
        {"id": "s0", "style_image": "/s/s0.png"},
        {"id": "s1", "style_image": "/s/s1.png"},
    ]


def test_a_grid_takes_repeats_once() -> None:
    assert grid(Ingredients(CONTENTS * 2, prompts=("a", "a"))).count == 3


def test_a_grid_of_many_rows_comes_in_batches() -> None:
    contents = [f"/c/{n}.jpg" for n in range(3000)]
    rows = grid(Ingredients(contents, [f"/s/{n}.jpg" for n in range(50)]))
    batches = list(rows.batches)
    assert sum(batch.num_rows for batch in batches) == rows.count == 150_000
    assert max(batch.num_rows for batch in batches) <= 65_536
    assert batches[-1].to_pylist()[-1]["id"] == "2999--49"


def test_zip_goes_by_order_and_one_alone_is_for_all() -> None:
    rows = listed(zipped(Ingredients(CONTENTS, STYLES[:3], ("same",))))
    assert [row["id"] for row in rows] == ["cat--s0--same", "dog--s1--same", "owl--s2--same"]


def test_zip_keeps_repeats_apart() -> None:
    rows = listed(zipped(Ingredients(CONTENTS[:1] * 3, STYLES[:1] * 3, ("a", "b", "a"))))
    assert [row["prompt"] for row in rows] == ["a", "b", "a"]


def test_zip_of_different_lengths_is_refused() -> None:
    with pytest.raises(ComposeError, match="3 content_image, 2 style_image"):
        zipped(Ingredients(CONTENTS, STYLES[:2]))


def test_random_styles_are_different_for_each_content() -> None:
    rows = listed(random_styles(Ingredients(CONTENTS, STYLES, ("a", "b")), RandomStyles(3, 1)))
    for content in CONTENTS:
        own = Counter(row["style_image"] for row in rows if row["content_image"] == content)
        assert len(own) == 3
        assert set(own.values()) == {2}  # each with both prompts


def test_random_styles_depend_on_the_seed_and_the_content_alone() -> None:
    def styles_of(contents: tuple[str, ...], seed: int) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for row in listed(random_styles(Ingredients(contents, STYLES), RandomStyles(2, seed))):
            found.setdefault(row["content_image"], []).append(row["style_image"])
        return found

    some, more = styles_of(CONTENTS[:2], 7), styles_of(CONTENTS, 7)
    assert {content: more[content] for content in some} == some
    assert more != styles_of(CONTENTS, 8)
    # As they have been since the first release: a changed choice changes every manifest.
    assert some["/c/cat.jpg"] == ["/s/s4.png", "/s/s0.png"]


def test_random_styles_are_spread_evenly() -> None:
    contents = tuple(f"/c/{n}.jpg" for n in range(4000))
    rows = random_styles(Ingredients(contents, STYLES), RandomStyles(2))
    counts = Counter(style for batch in rows.batches for style in batch["style_image"].to_pylist())
    assert set(counts) == set(STYLES)
    assert all(abs(count - 1000) < 120 for count in counts.values())  # 4 standard deviations


def test_all_styles_may_be_asked_for_but_no_more() -> None:
    every = listed(random_styles(Ingredients(CONTENTS[:1], STYLES), RandomStyles(8)))
    assert {row["style_image"] for row in every} == set(STYLES)
    with pytest.raises(ComposeError, match="9 different styles, and there are 8"):
        random_styles(Ingredients(CONTENTS, STYLES), RandomStyles(9))
    with pytest.raises(ComposeError, match="content images"):
        random_styles(Ingredients((), STYLES), RandomStyles(1))


def test_nothing_is_refused() -> None:
    with pytest.raises(ComposeError, match="nothing to make rows from"):
        grid(Ingredients())
