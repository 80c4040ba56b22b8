"""The errors that end a command or a run, in one tree, each with its exit code.

UsoError (uso_core.errors)
├── InvalidRequestError, CheckpointError, NoSuchDeviceError, UnsupportedPresetError   (the model)
└── PipelineError
    ├── ConfigError              the configuration cannot be used
    ├── ManifestError            the manifest cannot be used
    ├── StorageError             a store refused, failed or was unavailable
    ├── LedgerError              the records of an output cannot be used
    ├── LeaseHeldError           another driver uses the output
    ├── ComposeError             the inputs do not make a manifest
    ├── ReportError              an output has nothing to report
    ├── PackError                an output cannot be packed
    ├── PruneError               nothing tells which records of an output may be removed
    ├── ReplayError              no recorded row can be drawn again
    ├── StyleError               a library of styles, or a style in it, cannot be used
    └── RunError                 a run that has begun cannot continue
        ├── BrokenOffError         storage, the manifest or the records failed during the run
        ├── WorkersFailedError     workers do not start
        ├── ClusterError           Ray does not start, cannot be joined, or lost its head node
        ├── TooManyFailuresError   too many recent rows failed
        ├── RowsChangedError       recorded rows have changed, and `on_change` is `error`
        └── LeaseLostError         another driver took over the output

All of them survive `pickle`, because Ray sends exceptions between processes. A bad row raises none
of them: it becomes a failed record (see `pipelines.failures`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from uso_core.errors import UsoError

Fault = Literal["not_found", "denied", "unavailable", "full", "unusable"]
"""Kind of a storage failure. `unavailable`: a retry can help. `unusable`: any other failure."""


class PipelineError(UsoError):
    """Base of all errors of `pipelines`; the message gives problem, place and remedy."""


class _LocatedError(PipelineError):
    """An error with a place and a reason."""

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(where, reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.args[0]}: {self.reason}"


class ConfigError(PipelineError):
    """The configuration cannot be used; the message names the file, the key and the remedy."""

    @classmethod
    def of(cls, source: str, problems: Sequence[str]) -> ConfigError:
        """Make one error of all problems of `source`, one per line."""
        if len(problems) == 1:
            return cls(f"{source}: {problems[0]}")
        return cls("\n".join([f"{source}:", *(f"  {problem}" for problem in problems)]))


class ManifestError(_LocatedError):
    """The manifest as a whole cannot be read.

    Attributes:
        where: the file, column or configuration key with the problem, without credentials.
        reason: the problem and the remedy.
    """

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(where, reason)
        self.where = where


class StorageError(_LocatedError):
    """A store failed to do an operation.

    Attributes:
        uri: the file or folder concerned, without credentials.
        reason: the problem and the remedy.
        fault: the kind of failure.
    """

    def __init__(self, uri: str, reason: str, fault: Fault = "unusable") -> None:
        super().__init__(uri, reason)
        self.args = (uri, reason, fault)
        self.uri = uri
        self.fault: Fault = fault


class LedgerError(_LocatedError):
    """The records of an output cannot be used.

    Attributes:
        uri: the part or folder with the problem.
        reason: the problem and the remedy.
    """

    def __init__(self, uri: str, reason: str) -> None:
        super().__init__(uri, reason)
        self.uri = uri


class LeaseHeldError(PipelineError):
    """Another driver uses the output.

    Attributes:
        uri: URI of the lease.
        holder: a description of the other driver.
    """

    def __init__(self, uri: str, holder: str) -> None:
        super().__init__(uri, holder)
        self.uri = uri
        self.holder = holder

    def __str__(self) -> str:
        return (
            f"{self.uri}: another run uses this output: {self.holder}. Let it finish, stop it, or "
            "choose another output folder"
        )


class ComposeError(PipelineError):
    """The inputs do not make a manifest."""


class ReportError(PipelineError):
    """An output has nothing to report."""


class PackError(PipelineError):
    """An image differs from its record, or the destination holds files of another origin."""


class PruneError(PipelineError):
    """Nothing tells which records of an output may be removed."""


class ReplayError(PipelineError):
    """No recorded row can be drawn again, or an id has no record."""


class StyleError(_LocatedError):
    """A library of styles, or a style in it, cannot be used.

    Attributes:
        where: the library or the style's file, without credentials.
        reason: the problem and the remedy.
    """

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(where, reason)
        self.where = where


class RunError(PipelineError):
    """A run that has begun cannot continue. Committed records stay, and a rerun resumes."""

    exit_code = 1


class BrokenOffError(RunError):
    """The output, the manifest or the records failed during the run."""


class WorkersFailedError(RunError):
    """Workers repeatedly failed to start, or no node had room for one in time."""


class ClusterError(RunError):
    """Ray does not start, cannot be joined, has no room for an actor, or lost its head node."""


class TooManyFailuresError(RunError):
    """More recent rows failed than `on_error` allows."""


class RowsChangedError(RunError):
    """A completed row has changed, and `output.on_change` is `error`."""


class LeaseLostError(RunError):
    """Another driver took over the output, because this one seemed dead."""

    @classmethod
    def of(cls, uri: str) -> LeaseLostError:
        """Return the error for the output at `uri`."""
        return cls(
            f"{uri}: another driver has taken over this output, because this one sent no heartbeat "
            "for a while, or its lease was deleted; nothing more was written. Let the other driver "
            "finish, or rerun the same command"
        )
