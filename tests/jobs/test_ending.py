"""The end of a process whose native threads still ask for the interpreter."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

# A thread of Arrow reads the file, slowly, when the program's last line is done.
_READING = """
import io, threading, time
import pyarrow as pa
import pyarrow.parquet as pq

class Slow(io.BytesIO):
    def read(self, size=-1):
        data = super().read(size)
        if threading.current_thread() is not threading.main_thread():
            at_work.set()
            time.sleep(0.3)
        return data

at_work = threading.Event()
sink = io.BytesIO()
pq.write_table(pa.table({"id": ["a", "b"]}), sink)
batches = pq.ParquetFile(Slow(sink.getvalue()), pre_buffer=True).iter_batches()
threading.Thread(target=lambda: next(batches), daemon=True).start()
at_work.wait(10)
"""

_ENDING = """
import atexit, sys
from jobs.ending import ended_at_once

with ended_at_once():
    atexit.register(print, "handler ran")
{body}
"""


def ended(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )


def program(body: str) -> str:
    return _ENDING.format(body="\n".join(f"    {line}" for line in body.splitlines()))


@pytest.mark.parametrize(("last_line", "code"), [("", 0), ("sys.exit(3)", 3)])
def test_a_native_thread_that_still_reads_does_not_change_the_exit_code(
    last_line: str, code: int
) -> None:
    end = ended(program(f"{_READING}print('done')\n{last_line}"))

    assert (end.returncode, end.stderr) == (code, "")
    assert end.stdout == "done\nhandler ran\n"


@pytest.mark.parametrize(
    ("body", "code", "says"),
    [
        ("sys.exit()", 0, ""),
        ("sys.exit('told')", 1, "told"),
        ("raise ValueError('a bug')", 1, "ValueError: a bug"),
        ("raise KeyboardInterrupt", -2, "KeyboardInterrupt"),
    ],
)
def test_the_exit_code_is_pythons_own(body: str, code: int, says: str) -> None:
    end = ended(program(body))

    assert end.returncode == code
    assert says in end.stderr
    assert end.stdout == "handler ran\n"


def test_threads_that_are_no_daemons_are_waited_for() -> None:
    body = "import threading, time\nwork = lambda: (time.sleep(0.3), print('worked'))\n"
    end = ended(program(body + "threading.Thread(target=work).start()"))

    assert (end.returncode, end.stdout) == (0, "worked\nhandler ran\n")


def test_a_reader_that_has_gone_is_told_by_the_exit_code() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", program("print('x' * 10)")],
        env={name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout is not None
    process.stdout.close()

    assert process.wait(60) == 120
