from __future__ import annotations

import pytest

from pipelines.display import display_reference
from pipelines.failures import Failure
from pipelines.rows import Entry, ManifestRow, Reference, RejectedRow
from uso_core.request import Parameters


def test_the_size_of_an_entry_is_the_size_of_its_values() -> None:
    row = ManifestRow("a", "12", b"123", ("1234", b"12345"), Parameters(seed=0), "f")
    extra = {"a": "x", "b": b"yy", "c": [b"zzz", None], "d": {"e": "ww"}, "f": 5}
    assert Entry(row, extra).num_bytes == 2 + 3 + 4 + 5 + 1 + 2 + 3 + 2 + 64
    rejected = RejectedRow("a", Failure("invalid_request", "no"), "f")
    assert Entry(rejected, {"a": "xyz"}).num_bytes == 3


@pytest.mark.parametrize("inline", [b"PNG", "data:image/png;base64,UE5H", "DATA:;base64,UE5H"])
def test_images_in_the_manifest_are_displayed_as_a_hash(inline: Reference) -> None:
    assert display_reference(inline).startswith("sha256:")
    assert "UE5H" not in display_reference(inline)
