"""Runs a module in a process that is configured like the process of `uso run`.

python -m benchmarks.as_driver benchmarks.ledger --step resume ...
"""

from __future__ import annotations

import runpy
import sys

from jobs.heap import collect_seldom, keep_heap_compact

if __name__ == "__main__":
    keep_heap_compact()
    collect_seldom()
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
