"""The check of references in parts, each of which another process can do."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pipelines.tools.validation.check import CheckSpec, Placed, ReferenceCheck, check_with, lost
from pipelines.tools.validation.checked import Checked

_USES_OF_A_TASK = 256
_INLINE_BYTES_OF_A_TASK = 16 * 2**20
_INLINE_BYTES = 4096  # longer references are images

_checks: dict[str, ReferenceCheck] = {}
"""The check of this process, by its number: its connections outlive a task."""


@dataclass(frozen=True, slots=True)
class TaskSettings:
    """The settings of all tasks of a check.

    Attributes:
        spec: the settings of the check.
        env: environment variables of the processes, secrets resolved.
        number: tells the check apart from others.
    """

    spec: CheckSpec
    env: Mapping[str, str] = field(repr=False)
    number: str = field(default_factory=lambda: uuid.uuid4().hex)


def in_tasks(uses: Iterator[Placed]) -> Iterator[list[Placed]]:
    """Yield the uses in lists of bounded length, with bounded inline images."""
    some: list[Placed] = []
    inline = 0
    for placed in uses:
        some.append(placed)
        size = len(placed[1].reference)
        inline += size if size > _INLINE_BYTES else 0
        if len(some) == _USES_OF_A_TASK or inline > _INLINE_BYTES_OF_A_TASK:
            yield some
            some, inline = [], 0
    if some:
        yield some


def check_some(settings: TaskSettings, uses: Sequence[Placed]) -> list[Checked]:
    """Check references in `fetch.concurrency` threads."""
    if settings.number not in _checks:
        os.environ.update(settings.env)
        _checks[settings.number] = ReferenceCheck(settings.spec)
    threads = min(len(uses), settings.spec.config.concurrency)
    return list(check_with(_checks[settings.number], iter(uses), threads))


def lost_in_task(placed: Placed, reason: str) -> Checked:
    """Return the result of a reference whose check ended its process."""
    return lost(placed, f"the process that read it died ({reason}); check the file")
