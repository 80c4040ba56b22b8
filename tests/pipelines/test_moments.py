from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

from pipelines.moments import utc_now


def test_it_is_now_in_utc_to_the_second_or_the_millisecond() -> None:
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", utc_now())
    assert re.fullmatch(r".*:\d\d\.\d{3}\+00:00", utc_now("milliseconds"))
    for text in (utc_now(), utc_now("milliseconds")):
        age = datetime.now(timezone.utc) - datetime.fromisoformat(text)
        assert timedelta(0) <= age < timedelta(minutes=1)
