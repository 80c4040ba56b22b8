"""The errors that `uso_core` raises on purpose; any other exception that escapes it is a bug.

    UsoError
    ├── InvalidRequestError     a request is outside the model's limits
    ├── CheckpointError         a weight file is missing, unreadable, or does not match the model
    ├── NoSuchDeviceError       PyTorch does not find the GPU
    └── UnsupportedPresetError  the device cannot run the preset

All of them survive `pickle`, because Ray passes exceptions between processes.
"""

from __future__ import annotations

from typing import ClassVar


class UsoError(Exception):
    """Base of every error that this project raises on purpose.

    Attributes:
        exit_code: the exit code of a command that ends with this error; 2: its input is wrong, 1:
            a run that had begun cannot continue.
    """

    exit_code: ClassVar[int] = 2


class InvalidRequestError(UsoError):
    """A parameter is outside the ranges that the checkpoint accepts.

    Attributes:
        field: name of the parameter, as in `StylizeRequest`.
        value: the rejected value.
        accepted: description of the accepted values.
    """

    def __init__(self, field: str, value: object, accepted: str) -> None:
        super().__init__(field, value, accepted)
        self.field = field
        self.value = value
        self.accepted = accepted

    def __str__(self) -> str:
        return f"{self.field}: {self.value!r} is not accepted; give {self.accepted}"


class CheckpointError(UsoError):
    """A weight file is missing, unreadable, or its keys or shapes do not match the model.

    Attributes:
        path: the file, folder or Hub id at fault.
        reason: the fault and its remedy, with the names of the keys concerned.
    """

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


class NoSuchDeviceError(UsoError):
    """PyTorch does not find the GPU; the message lists the GPUs that it finds."""


class UnsupportedPresetError(UsoError):
    """The device cannot run a preset.

    Attributes:
        preset: name of the preset.
        reason: the preset's requirement, the device found, and the alternative.
    """

    def __init__(self, preset: str, reason: str) -> None:
        super().__init__(preset, reason)
        self.preset = preset
        self.reason = reason

    def __str__(self) -> str:
        return f"the preset {self.preset} {self.reason}"
