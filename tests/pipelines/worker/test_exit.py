from __future__ import annotations

import subprocess
import sys

from pipelines.worker.exit import EXIT_GPU_LOST


def test_the_process_ends_at_once_whatever_else_runs() -> None:
    code = (
        "import logging, threading, time\n"
        "from pipelines.worker.exit import exit_gpu_lost\n"
        "logging.basicConfig()\n"
        "threading.Thread(target=time.sleep, args=(60,)).start()\n"
        "exit_gpu_lost(RuntimeError('the device is gone'))\n"
    )
    command = [sys.executable, "-c", code]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    assert ended.returncode == EXIT_GPU_LOST
    assert "gpu_lost exit_code=87 error=the device is gone" in ended.stderr
