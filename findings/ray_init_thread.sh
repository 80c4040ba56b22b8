#!/bin/sh
# The guess: `ray.init()` in a thread, so that a program does other things while Ray starts, gives the
#   same Ray as in the main thread.
# What happens: Ray asks Linux to kill its processes when their parent ends. The parent is the thread
#   that has started them, not the process. When the thread ends, the head and the raylet get SIGKILL.
#   The next call waits for 60 s; then Ray ends the whole program.
# Whom it hurts: programs that start Ray in an executor of their own, or in a short thread, beside slow
#   imports. It works as long as the thread lives, such as that of a pool that waits for more work.
# Exit code: 0 while Ray behaves like this, 1 if it has changed.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check 'ray[default]==2.60.0' psutil 2>/dev/null
RAY_USAGE_STATS_ENABLED=0 "$work/venv/bin/python" - <<'PYTHON' 2>/dev/null
import logging
import os
import sys
import threading
import time

import psutil
import ray


def init():
    ray.init(address="local", num_cpus=1, include_dashboard=False, logging_level=logging.ERROR)


def head_and_raylet():
    children = psutil.Process().children()
    alive = {child.name() for child in children if child.status() != psutil.STATUS_ZOMBIE}
    return alive & {"gcs_server", "raylet"}


print("ray", ray.__version__)
may_end = threading.Event()
thread = threading.Thread(target=lambda: (init(), may_end.wait()))
thread.start()
while thread.is_alive() and not ray.is_initialized():
    time.sleep(0.1)
before = head_and_raylet()
may_end.set()
thread.join()
time.sleep(1)
after = head_and_raylet()
print("while the thread lives:", sorted(before), "- after its end:", sorted(after))
sys.stdout.flush()
os._exit(0 if len(before) == 2 and not after else 1)
PYTHON
