"""The real network of the safety check, on pictures that the tests make."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipelines.worker import open_nsfw
from tests.pipelines.painted import BROWN
from tests.pipelines.pictures import picture


@pytest.fixture(scope="module")
def score() -> Callable[[Image.Image], float]:
    return open_nsfw.load()


def flat(colour: Any, size: tuple[int, int] = (512, 512)) -> Image.Image:
    return Image.new("RGB", size, colour)


def skin_gradient() -> Image.Image:
    """Skin tones, dark on the left and light on the right."""
    ramp = np.linspace((141, 85, 36), (255, 219, 172), 512).round().astype(np.uint8)
    return Image.fromarray(np.broadcast_to(ramp, (512, 512, 3)).copy())


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (flat((128, 128, 128)), 0.198),  # docs/safety.md names these
        (flat(BROWN), 0.287),
        (flat((255, 219, 172)), 0.041),
        (flat("white"), 0.014),
        (flat("green"), 0.0),
    ],
)
def test_the_scores_that_the_documentation_names(
    score: Callable[[Image.Image], float], image: Image.Image, expected: float
) -> None:
    assert score(image) == pytest.approx(expected, abs=0.001)


def test_a_score_depends_on_the_image_alone(score: Callable[[Image.Image], float]) -> None:
    images = [picture(seed=seed) for seed in range(4)] + [skin_gradient()]
    alone = [score(image) for image in images]
    with ThreadPoolExecutor(3) as threads:
        assert list(threads.map(score, images * 2)) == alone * 2
    assert len(set(alone)) == len(alone)


def test_it_writes_nothing_and_starts_no_thread(tmp_path: Path) -> None:
    """ONNX Runtime would keep an id in the home folder and start a thread that sends statistics."""
    code = (
        "import threading, psutil\n"
        "from PIL import Image\n"
        "from pipelines.worker.safety import _load_score\n"
        "score = _load_score('open_nsfw')\n"
        "before = psutil.Process().num_threads()\n"
        "score(Image.new('RGB', (64, 64)))\n"
        "assert psutil.Process().num_threads() == before\n"
    )
    environment = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "OPENBLAS_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
    assert not list(tmp_path.rglob("*"))
