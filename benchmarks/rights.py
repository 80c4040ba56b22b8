"""Measures what reading licences and wishes adds to a reference.

`python -m benchmarks.rights` prints the table of docs/rights.md: microseconds of CPU for one local
reference, without fetching and decoding it.
"""

from __future__ import annotations

import io
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from pipelines.config.inputs import FetchConfig
from pipelines.fetch.fetched import Fetched
from pipelines.fetch.fetcher import Fetcher
from pipelines.fetch.local import LocalReader
from pipelines.fetch.rights.policy import Asked, RightsPolicy
from pipelines.reference_facts import ReferenceRights

_ROUNDS = 200
_SIDES = (512, 1024, 4096)
_ASKED = Asked("content_image", ReferenceRights(), lambda _rights: None)


def main() -> None:
    """Print the table."""
    print("| file | size | marks of the file | and files beside it | fetch and decode |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for side in _SIDES:
            path = Path(folder) / f"{side}.jpg"
            path.write_bytes(_jpeg(side))
            data = path.read_bytes()
            alone = _microseconds(FetchConfig(sidecars="off"), path, data)
            both = _microseconds(FetchConfig(), path, data)
            fetcher = Fetcher(FetchConfig())
            began = time.process_time()
            for _ in range(5):
                fetcher.fetch(str(path))
            whole = (time.process_time() - began) / 5 * 1e6
            times = f"{alone:.0f} µs | {both:.0f} µs | {whole:,.0f} µs"
            print(f"| JPEG, {side} px | {len(data) / 1e6:.2f} MB | {times} |")


def _microseconds(config: FetchConfig, path: Path, data: bytes) -> float:
    policy = RightsPolicy(config, Fetcher(config).read, LocalReader(config).exists)
    began = time.process_time()
    for _ in range(_ROUNDS):
        policy.check_file(str(path), Fetched(data), _ASKED)  # a new one: it keeps what it finds
    return (time.process_time() - began) / _ROUNDS * 1e6


def _jpeg(side: int) -> bytes:
    levels = np.random.default_rng(0).integers(0, 64, (side, side, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(levels).save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


if __name__ == "__main__":
    main()
