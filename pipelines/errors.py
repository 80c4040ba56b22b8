"""Why a whole run ends before its end. What was committed stays, and the same command goes on.

RunError
├── BrokenOffError         storage, the manifest or the records failed under way
├── WorkersFailedError     the workers do not come up
├── ClusterError           there is no Ray cluster to work on, or not any more
├── TooManyFailuresError   so many rows failed lately that something is wrong with all of them
├── RowsChangedError       recorded rows have changed, and on_change says that this is an error
└── LeaseLostError         another driver took this output over
"""

from __future__ import annotations


class RunError(Exception):
    """The run cannot go on; the message says why and what to do."""


class BrokenOffError(RunError):
    """The output, the manifest or the records were usable at first, and then were not any more."""


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
