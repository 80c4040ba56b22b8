"""Rows for tests of the stylizer, and the configuration of their worker."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from pipelines.config.schema import RunConfig
from pipelines.rows import ManifestRow, Outcome, Reference
from pipelines.worker.stylizer import Stylizer
from uso_core.pipeline import USOPipeline
from uso_core.request import Parameters

PARAMETERS = Parameters(width=32, height=48, num_steps=2, seed=7, content_long_size=32)


class Make(Protocol):
    """Makes a stylizer with the tiny model, or with another pipeline."""

    def __call__(self, pipeline: USOPipeline | None = None, **sections: Any) -> Stylizer: ...


def make_row(
    row_id: str = "row",
    content: Reference | None = None,
    styles: tuple[Reference, ...] = (),
    **numbers: Any,
) -> ManifestRow:
    return ManifestRow(row_id, "a boat", content, styles, replace(PARAMETERS, **numbers), "f00d")


def config_for(folder: Path, **sections: Any) -> RunConfig:
    return RunConfig.model_validate(
        {
            "manifest": {"path": "unused"},
            "output": {"path": str(folder)},
            "model": {"base": "tiny"},
            "fetch": {"allow_private_networks": True, "timeout_s": 5, "attempts": 2},
            "stylize": {"gpus_per_actor": 0},
            **sections,
        }
    )


def stored(outcome: Outcome) -> list[bytes]:
    assert outcome.failure is None, outcome.failure
    return [Path(uri).read_bytes() for uri in outcome.outputs]
