"""Runs `uso` with a lease that is stale after seconds, so that a take-over needs no half minute.

python -m benchmarks.chaos.short_lease run CONFIG ...
"""

from __future__ import annotations

from jobs.cli import main
from pipelines.ledger.lease import Lease

HEARTBEAT_S = 1.0
STALE_S = 6.0  # longer than an actor trusts the lease without reading it

if __name__ == "__main__":
    defaults = Lease.__init__.__kwdefaults__
    assert defaults is not None
    defaults.update(heartbeat_s=HEARTBEAT_S, stale_s=STALE_S)
    main()
