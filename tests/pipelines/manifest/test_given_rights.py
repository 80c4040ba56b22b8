"""Licences and wishes in columns of the manifest."""

from __future__ import annotations

import math
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from pipelines.manifest.given_rights import given_rights
from pipelines.reference_facts import ReferenceRights
from tests.pipelines.manifests import entries, valid, write

NOAI = "column noai"


@pytest.mark.parametrize(
    ("own", "found"),
    [
        ({"licence": "CC0", "noai": True}, [("CC0", NOAI)] * 2),
        ({"license": ["MIT", None], "noai": [False, True]}, [("MIT", None), (None, NOAI)]),
        ({"licence": " CC  BY ", "noai": "no"}, [("CC BY", None)] * 2),
        ({"noai": "noimageai"}, [(None, NOAI)] * 2),
        ({"noai": [False, False, True]}, [(None, NOAI)] * 2),  # of another length: for all
        ({"noai": 0, "licence": ""}, []),
        ({"noai": None, "other": 1}, []),
        ({"noai": 0.0, "licence": math.nan}, []),  # a column of pandas with missing values
        ({"noai": math.nan}, []),
        ({"noai": 1.0}, [(None, NOAI)] * 2),
        ({"noai": Decimal("0.00")}, []),
        ({"noai": "0.0"}, []),
        ({"noai": " N/A "}, []),
        ({"noai": b"no"}, []),
        ({"noai": {"noai": False, "since": None}}, []),
        ({"noai": {"noai": True}}, [(None, NOAI)] * 2),
        ({"noai": []}, []),
        ({"noai": [False]}, []),
        ({"noai": [[True], []]}, [(None, NOAI), (None, None)]),
        # As in CSV, and in JSON Lines whose rows have values of several types.
        ({"noai": "[false, true]", "licence": '["MIT", null]'}, [("MIT", None), (None, NOAI)]),
        ({"noai": '{"noai": false}'}, []),
        ({"noai": "{}", "licence": "{}"}, [("{}", None)] * 2),
        ({"noai": "{x"}, [(None, NOAI)] * 2),
        ({"noai": "[false, 0]", "licence": "[sic] CC0"}, [("[sic] CC0", None)] * 2),
    ],
)
def test_columns_state_rights(own: dict[str, Any], found: list[tuple[Any, Any]]) -> None:
    assert list(given_rights(own, 2)) == [ReferenceRights(*each) for each in found]


@pytest.mark.parametrize("keep", ["all", "none", ["note"]])
def test_the_columns_stay_the_users_and_change_no_identity(tmp_path: Path, keep: Any) -> None:
    plain = {"id": ["a"], "content_image": ["c.png"], "style_image": ["s.png"], "note": [1]}
    (before,) = entries(write(tmp_path / "a.parquet", plain), manifest={"keep_columns": keep})
    marked = plain | {"licence": [["CC0", "MIT"]], "noai": [True]}
    (after,) = entries(write(tmp_path / "b.parquet", marked), manifest={"keep_columns": keep})
    assert valid(after).given_rights == (("CC0", NOAI), ("MIT", NOAI))
    assert valid(before).given_rights == ()
    assert after.row.fingerprint == before.row.fingerprint
    assert after.source_digest == before.source_digest
    assert after.extra == {**before.extra, "licence": ["CC0", "MIT"], "noai": True}
