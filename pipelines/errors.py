"""Every error that ends a command or a run, in one tree with the exit code of each.

UsoError (uso_core.errors)
├── InvalidRequestError, CheckpointError, NoSuchDeviceError, UnsupportedPresetError   of the model
└── PipelineError
    ├── ConfigError              the configuration cannot be used
    ├── ManifestError            the manifest cannot be used
    ├── StorageError             a store refused, failed or stayed away
    ├── LedgerError              the records of an output cannot be used
    ├── LeaseHeldError           another driver is at work on the output
    ├── ComposeError             no manifest can be made of the given inputs
    ├── ReportError              an output has nothing to report on
    ├── PackError                an output cannot be packed
    └── RunError                 a run that had begun cannot continue
        ├── BrokenOffError         storage, the manifest or the records failed during the run
        ├── WorkersFailedError     no worker starts
        ├── ClusterError           Ray does not start, cannot be joined, or lost its head
        ├── TooManyFailuresError   too many of the recent rows failed
        ├── RowsChangedError       recorded rows have changed, and `on_change` is `error`
        └── LeaseLostError         another driver took the output over

Every one survives `pickle`, because Ray carries exceptions between processes. A bad row raises none
of these: it becomes a failed record (see `pipelines.failures`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from uso_core.errors import UsoError

Fault = Literal["not_found", "denied", "unavailable", "full", "unusable"]
"""Kind of a storage failure. `unavailable`: a retry can help. `unusable`: any other failure."""


class PipelineError(UsoError):
    """Base of all errors of `pipelines`; the message says what is wrong, where, and the remedy."""


class _LocatedError(PipelineError):
    """An error with a place and a reason."""

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(where, reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.args[0]}: {self.reason}"


class ConfigError(PipelineError):
    """A configuration that cannot be used; the message names the file, the key and the remedy."""

    @classmethod
    def of(cls, source: str, problems: Sequence[str]) -> ConfigError:
        """Join all problems of `source` in one error, a line each."""
        if len(problems) == 1:
            return cls(f"{source}: {problems[0]}")
        return cls("\n".join([f"{source}:", *(f"  {problem}" for problem in problems)]))


class ManifestError(_LocatedError):
    """The manifest as a whole cannot be read.

    Attributes:
        where: the file, column or configuration key at fault, without credentials.
        reason: the problem there and the remedy.
    """

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(where, reason)
        self.where = where


class StorageError(_LocatedError):
    """A store could not do an operation.

    Attributes:
        uri: the file or folder concerned, without credentials.
        reason: the problem and the remedy.
        fault: its kind; `unavailable` is the only one that a retry can help.
    """

    def __init__(self, uri: str, reason: str, fault: Fault = "unusable") -> None:
        super().__init__(uri, reason)
        self.args = (uri, reason, fault)
        self.uri = uri
        self.fault: Fault = fault


class LedgerError(_LocatedError):
    """The records of an output cannot be used as they are.

    Attributes:
        uri: the part or folder at fault.
        reason: the problem there and the remedy.
    """

    def __init__(self, uri: str, reason: str) -> None:
        super().__init__(uri, reason)
        self.uri = uri


class LeaseHeldError(PipelineError):
    """Another driver is at work on the output.

    Attributes:
        uri: the lease's.
        holder: the other driver, in words.
    """

    def __init__(self, uri: str, holder: str) -> None:
        super().__init__(uri, holder)
        self.uri = uri
        self.holder = holder

    def __str__(self) -> str:
        return (
            f"{self.uri}: another run is at work on this output: {self.holder}. Let it finish or "
            "stop it, or give this run another output folder"
        )


class ComposeError(PipelineError):
    """The given inputs make no manifest."""


class ReportError(PipelineError):
    """There is nothing to report on."""


class PackError(PipelineError):
    """An image differs from its record, or the destination holds files of another origin."""


class RunError(PipelineError):
    """A run that had begun cannot continue. Committed records stay, and a rerun resumes."""

    exit_code = 1


class BrokenOffError(RunError):
    """The output, the manifest or the records were usable at first and failed during the run."""


class WorkersFailedError(RunError):
    """Workers failed to start several times in a row, or no node had room for one in time."""


class ClusterError(RunError):
    """Ray does not start, cannot be joined, has no room for any actor, or has lost its head."""


class TooManyFailuresError(RunError):
    """More rows failed lately than `on_error` allows (`max_consecutive`, `max_recent_fraction`)."""


class RowsChangedError(RunError):
    """A completed row has changed since, and `output.on_change` is `error`."""


class LeaseLostError(RunError):
    """Another driver has taken over the output, because this one seemed dead."""
