#!/bin/sh
# The guess: `ray.init(include_dashboard=False)` starts no process of the dashboard.
# What happens: Ray starts `dashboard.py` all the same, with its web server and nearly all modules left
#   out: a process of more than 50 MB, beside a log monitor and the monitor of an autoscaler. `init`
#   returns before it has imported its libraries, and the import takes CPU from the first actors.
# Whom it hurts: test suites and command-line tools that start a small Ray for each call, on machines
#   with few cores: two thirds of a second of CPU each time, while their own actors start.
# Exit code: 0 while Ray behaves like this, 1 if it has changed.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check 'ray[default]==2.60.0' psutil 2>/dev/null
RAY_USAGE_STATS_ENABLED=0 "$work/venv/bin/python" - <<'PYTHON' 2>/dev/null
import logging
import sys
import time

import psutil
import ray

print("ray", ray.__version__)
context = ray.init(num_cpus=1, include_dashboard=False, logging_level=logging.ERROR)
print("address of the dashboard:", repr(context.dashboard_url))
time.sleep(10)  # for its imports
found = {}
for process in psutil.Process().children(recursive=True):
    script = next((word for word in process.cmdline() if word.endswith(".py")), process.name())
    times, memory = process.cpu_times(), process.memory_info()
    found[script.rpartition("/")[2]] = memory.rss / 1e6
    print(
        f"{script.rpartition('/')[2]:16} {times.user + times.system:.2f} s of CPU, "
        f"{memory.rss / 1e6:.0f} MB"
    )
ray.shutdown()
same = not context.dashboard_url and found.get("dashboard.py", 0) > 50
sys.exit(0 if same else 1)
PYTHON
