"""The errors that `uso_core` raises on purpose; anything else that escapes it is a bug.

    UsoError
    ├── InvalidRequestError     a request asks for what the model does not accept
    ├── CheckpointError         a weight file is missing, unreadable, or does not match the model
    ├── NoSuchDeviceError       PyTorch finds no such GPU
    └── UnsupportedPresetError  the device cannot run a preset

Every one survives `pickle`, because Ray carries exceptions between processes.
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
    """A parameter is outside what the checkpoint accepts.

    Attributes:
        field: the parameter's name, as in `StylizeRequest`.
        value: what was given.
        accepted: what would have been accepted, in words.
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
        path: the file, folder or hub id at fault.
        reason: what is wrong there and what to do, naming the keys concerned.
    """

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


class NoSuchDeviceError(UsoError):
    """PyTorch finds no such GPU; the message says what it finds."""


class UnsupportedPresetError(UsoError):
    """A preset cannot be run here.

    Attributes:
        preset: its name.
        reason: what it needs, what there is, and what to use instead.
    """

    def __init__(self, preset: str, reason: str) -> None:
        super().__init__(preset, reason)
        self.preset = preset
        self.reason = reason

    def __str__(self) -> str:
        return f"the preset {self.preset} {self.reason}"
