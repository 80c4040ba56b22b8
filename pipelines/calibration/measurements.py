"""Calibration files: device time of rows by shape, stored by each run for the next plan.

A calibration file is JSON: `{"version": 1, "machines": [...]}`, with one entry for each combination
of model size, settings and device. A run that completed rows adds its measurements to two files:
`calibration/speed.json` in the output, and the user's file, which is
`~/.cache/uso-batch/calibration.json` or the value of `USO_CALIBRATION_FILE` (if the value is empty,
there is no such file).
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipelines.calibration.shapes import Shape
from pipelines.config.model import ModelConfig
from pipelines.errors import StorageError
from pipelines.storage.local_files import write_file
from pipelines.storage.storage import Storage
from uso_core.loading.dimensions import FAMILY as FIRST_FAMILY
from uso_core.protocol import Arithmetic

logger = logging.getLogger(__name__)

PATH = "calibration/speed.json"
_VERSION = 1
_ENOUGH_ROWS = 20


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings that determine a row's time, together with its shape and the device.

    Attributes:
        hidden: width of the model.
        blocks: depth of the model.
        dtype: `model.dtype`.
        preset: `model.preset`.
        compile: `model.compile`.
        batch_images: `stylize.batch_images`; 1 in files that were written before it was stored.
        family: family of the model; files leave the first family out.
    """

    hidden: int
    blocks: int
    dtype: str
    preset: str
    compile: bool
    batch_images: int = 1
    family: str = FIRST_FAMILY

    @classmethod
    def of(cls, model: Arithmetic, config: ModelConfig, batch_images: int = 1) -> Settings:
        """Return the settings of a configuration."""
        return cls(
            hidden=model.hidden,
            blocks=model.blocks,
            dtype=config.dtype,
            preset=config.preset,
            compile=config.compile,
            batch_images=batch_images,
            family=model.family,
        )


@dataclass(frozen=True, slots=True)
class ShapeTime:
    """The measurement of one shape.

    Attributes:
        shape: shape of the rows.
        rows: number of measured rows.
        seconds: mean device time per row.
    """

    shape: Shape
    rows: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """The measurements of one kind of device with one kind of model.

    Attributes:
        settings: settings of the model.
        device: `cpu`, or the name of the GPU.
        updated_at: time of the last measurement, ISO 8601 in UTC.
        startup_s: seconds from the start of a run until its first row was on a device.
        busy: share of an actor's time after its first row that it spent on the device, 0 to 1.
        shapes: the measured shapes.
    """

    settings: Settings
    device: str
    updated_at: str
    startup_s: float
    busy: float
    shapes: tuple[ShapeTime, ...]

    @property
    def rows(self) -> int:
        """Number of measured rows."""
        return sum(time.rows for time in self.shapes)


@dataclass(frozen=True, slots=True)
class Calibration:
    """All measurements in a file, the latest last."""

    machines: tuple[Machine, ...] = ()

    @classmethod
    def from_json(cls, data: bytes) -> Calibration:
        """Parse a file; a file of another version, or a damaged one, counts as empty."""
        try:
            document = json.loads(data)
            if document["version"] != _VERSION:
                return cls()
            return cls(tuple(_machine(item) for item in document["machines"]))
        except (ValueError, KeyError, TypeError) as error:
            logger.warning("calibration_unreadable error=%s", type(error).__name__)
            return cls()

    def to_json(self) -> bytes:
        """Return the contents of the file."""
        machines = [_as_json(machine) for machine in self.machines]
        return json.dumps({"version": _VERSION, "machines": machines}, indent=1).encode()

    def latest(self, settings: Settings) -> Machine | None:
        """Return the device that was measured last with these settings."""
        found = [machine for machine in self.machines if machine.settings == settings]
        return max(found, key=lambda machine: machine.updated_at, default=None)

    def with_machine(self, new: Machine) -> Calibration:
        """Return a copy with a run's measurements, which replace older ones of the same shapes.

        An older measurement stays if it has more rows and the new one has few.
        """
        others = []
        times = {time.shape: time for time in new.shapes}
        for machine in self.machines:
            if (machine.settings, machine.device) != (new.settings, new.device):
                others.append(machine)
                continue
            for old in machine.shapes:
                time = times.get(old.shape)
                if time is None or time.rows < min(old.rows, _ENOUGH_ROWS):
                    times[old.shape] = old
        shapes = tuple(times[shape] for shape in sorted(times))
        merged = Machine(
            settings=new.settings,
            device=new.device,
            updated_at=new.updated_at,
            startup_s=new.startup_s,
            busy=new.busy,
            shapes=shapes,
        )
        return Calibration((*others, merged))


def read_calibration(output: Storage) -> Calibration:
    """Read the output's measurements, and those of the user's file that it does not have.

    Raises:
        StorageError: the output cannot be read.
    """
    own = Calibration.from_json(output.read(PATH)) if output.exists(PATH) else Calibration()
    have = {(machine.settings, machine.device) for machine in own.machines}
    user = _users()
    others = [item for item in user.machines if (item.settings, item.device) not in have]
    return Calibration((*others, *own.machines))


def save_calibration(output: Storage, machines: Sequence[Machine]) -> None:
    """Add a run's measurements to both files; a file that cannot be written is only logged."""
    if not machines:
        return
    try:
        held = Calibration.from_json(output.read(PATH)) if output.exists(PATH) else Calibration()
        output.write(PATH, _added(held, machines).to_json())
    except StorageError as error:
        logger.warning("calibration_not_written uri=%s reason=%s", error.uri, error.reason)
    path = user_file()
    if path is None:
        return
    try:
        held = Calibration.from_json(path.read_bytes()) if path.exists() else Calibration()
        write_file(path, _added(held, machines).to_json())
    except OSError as error:
        logger.warning("calibration_not_written uri=%s error=%s", path, error)


def user_file() -> Path | None:
    """Return the path of the user's file; None if it is turned off or there is no home folder."""
    named = os.environ.get("USO_CALIBRATION_FILE")
    if named == "":
        return None
    cache = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache"))
    path = Path(named) if named else cache / "uso-batch" / "calibration.json"
    try:
        return path.expanduser()
    except RuntimeError:  # the user has no home
        return None


def _users() -> Calibration:
    """Read the user's measurements; a file that cannot be read counts as empty."""
    path = user_file()
    try:
        return Calibration() if path is None else Calibration.from_json(path.read_bytes())
    except FileNotFoundError:
        return Calibration()
    except OSError as error:
        logger.warning("calibration_unreadable uri=%s error=%s", path, error)
        return Calibration()


def _added(held: Calibration, machines: Sequence[Machine]) -> Calibration:
    for machine in machines:
        held = held.with_machine(machine)
    return held


def _as_json(machine: Machine) -> dict[str, Any]:
    item = asdict(machine)
    if machine.settings.family == FIRST_FAMILY:
        del item["settings"]["family"]
    return item


def _machine(item: Mapping[str, Any]) -> Machine:
    return Machine(
        settings=Settings(**item["settings"]),
        device=item["device"],
        updated_at=item["updated_at"],
        startup_s=float(item["startup_s"]),
        busy=float(item["busy"]),
        shapes=tuple(
            ShapeTime(Shape(**time["shape"]), int(time["rows"]), float(time["seconds"]))
            for time in item["shapes"]
        ),
    )
