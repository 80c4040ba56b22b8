"""Arrays in data files: as small as their numbers allow, and exact."""

from __future__ import annotations

import base64
import json
import re
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipelines.tools.report.data_files import DataFile, codes_file, json_file, numbers_file
from tests.pipelines.tools.report.outputs import numbers_in


def read(file: DataFile) -> tuple[str, Any]:
    """Return the type of the array in a script, and its numbers."""
    script = b"".join(file.script()).decode("ascii")
    found = re.fullmatch(r'uso\.unpack\("([a-z0-9-]+)","([^"]*)",(.*)\);\n', script)
    assert found is not None
    array = json.loads(found[3])
    return array["type"], numbers_in(zlib.decompress(base64.b64decode(found[2])), array)


def pieces_of(numbers: npt.NDArray[Any]) -> Callable[[], Iterator[npt.NDArray[Any]]]:
    """Return numbers in pieces, the first one without a number."""
    return lambda: iter((numbers[:0], numbers[:1], numbers[1:3], numbers[3:]))


@pytest.mark.parametrize(
    ("numbers", "kind"),
    [
        ([0.25, -1.0, np.nan], "Uint8"),
        ([1000.1, 1025.5], "Uint8"),
        ([0.0, 255.0], "Uint16"),
        ([0.1234, 0.9999, np.nan], "Uint16"),
        ([-0.0, 1.0], "Float64"),
        ([1 / 3], "Float64"),
        ([1e300, np.nan], "Float64"),
        ([np.nan, np.nan], "Float64"),
    ],
)
def test_numbers_take_the_bytes_that_they_need(numbers: list[float], kind: str) -> None:
    found, values = read(numbers_file("numbers-0", pieces_of(np.array(numbers))))
    assert found == kind
    np.testing.assert_array_equal(np.array(values).view(np.int64), np.array(numbers).view(np.int64))


@settings(deadline=None)
@given(
    st.lists(
        st.one_of(
            st.floats(allow_infinity=False),
            st.integers(-(10**7), 10**7).map(lambda whole: whole / 10**4),
            st.just(np.nan),
        ),
        min_size=1,
    )
)
@example([1e308, 2.5])
def test_numbers_are_exact(numbers: list[float]) -> None:
    _, values = read(numbers_file("numbers-0", pieces_of(np.array(numbers))))
    assert [repr(value) for value in values] == [repr(float(value)) for value in numbers]


def test_codes_are_whole_numbers() -> None:
    assert read(codes_file("of-code", pieces_of(np.array([0, 255])))) == ("Uint8", [0, 255])
    assert read(codes_file("of-set", pieces_of(np.array([0, 70_000])))) == ("Uint32", [0, 70_000])


def test_a_script_is_plain_letters_whatever_is_in_it() -> None:
    script = b"".join(json_file("rows-0", {"a": "</script>&\u2028é"}).script())
    assert re.fullmatch(rb'uso\.unpack\("rows-0","[A-Za-z0-9+/=]+"\);\n', script)
