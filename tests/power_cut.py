"""A model of a disk at a power cut, fed by the system calls of a process.

`strace` writes the calls down. The model knows what POSIX promises and no more: after a cut, a file
holds all bytes written before its last sync; of each later write, any sectors of 512 bytes may be
there. A name is there if its folder was synced after the file was created.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_SECTOR = 512
_CALLS = "openat,write,pwrite64,fsync,fdatasync,ftruncate,unlink"
_CALL = re.compile(r"(\d+) +(\w+)\((.*)")
_RESUMED = re.compile(r"(\d+) +<\.\.\. \w+ resumed>(.*)")
_ON_FILE = re.compile(r'\d+<(.*?)>(?:, "((?:\\x[0-9a-f]{2})*)")?(?:, (\d+))?(?:, (\d+))?\)')
_CREATES = re.compile(r'AT_FDCWD(?:<.*?>)?, "((?:\\x[0-9a-f]{2})*)".*O_CREAT.* = \d+')
_UNLINKS = re.compile(r'"((?:\\x[0-9a-f]{2})*)"\) = 0')


def calls_of(code: str, log: Path, *arguments: str) -> list[tuple[str, str]]:
    """Run Python code under strace; return the names and the rests of its calls, in order.

    Args:
        code: the program.
        log: file for the calls.
        arguments: arguments of the program.
    """
    strace = shutil.which("strace")
    if strace is None:
        raise FileNotFoundError("no strace; on Debian and Ubuntu: apt-get install -y strace")
    command = [strace, "-f", "-y", "-xx", "-s", "1000000", "-e", f"trace={_CALLS}", "-o", str(log)]
    command += [sys.executable, "-c", code, *arguments]
    subprocess.run(command, check=True, capture_output=True)
    return list(_in_order(log))


def _in_order(log: Path) -> Iterator[tuple[str, str]]:
    """Yield each call when it ended, but a print when it began, which is stricter.

    A sync that other calls come into also has its beginning, `…sync_begins`. The thread is after
    the name of a call that was interrupted in the log.
    """
    begun: dict[str, tuple[str, str]] = {}
    with log.open(encoding="ascii") as lines:
        for line in lines:
            if resumed := _RESUMED.match(line):
                name, start = begun.pop(resumed[1], ("", ""))
                if name and not (name == "write" and start.startswith("1<")):
                    yield f"{name} {resumed[1]}", start + resumed[2]
            elif call := _CALL.match(line):
                rest, cut, _ = call[3].partition(" <unfinished")
                if cut:
                    begun[call[1]] = (call[2], rest)
                    yield from _beginning(call, rest)
                else:
                    yield call[2], rest


def _beginning(call: re.Match[str], rest: str) -> Iterator[tuple[str, str]]:
    if call[2] == "write" and rest.startswith("1<"):
        yield call[2], rest + ")"
    elif call[2].endswith("sync"):
        yield f"{call[2]}_begins {call[1]}", rest + ")"


@dataclass
class _File:
    synced: bytearray = field(default_factory=bytearray)
    later: list[tuple[int, bytes]] = field(default_factory=list)  # an offset of -1: cut to a size
    covered: dict[str, int] = field(default_factory=dict)  # by thread: writes before its sync
    is_named: bool = False


class Disk:
    """The files below a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, _File] = {}
        self.printed: list[str] = []

    def apply(self, name: str, rest: str) -> bool:
        """Take a call in; return True if it printed a line."""
        name, _, thread = name.partition(" ")
        if name == "openat":
            if created := _CREATES.search(rest):
                self._file(_text(created[1]))
            return False
        if name == "unlink":
            if gone := _UNLINKS.match(rest):
                self._files.pop(_text(gone[1]), None)
            return False
        found = _ON_FILE.match(rest)
        if found is None:
            return False
        path, data = _text(found[1]) if "\\x" in found[1] else found[1], _bytes(found[2] or "")
        if name == "write" and rest.startswith("1<"):
            self.printed += data.decode().split()
            return True
        self._apply_to(path, f"{name} {thread}", data, found)
        return False

    def _apply_to(self, path: str, call: str, data: bytes, found: re.Match[str]) -> None:
        if Path(path) == self._folder:
            for each in self._files.values():
                each.is_named = True
        name, _, thread = call.partition(" ")
        file = self._file(path)
        if file is None:
            return
        if name.endswith("sync_begins"):
            file.covered[thread] = len(file.later)
        elif name in ("fsync", "fdatasync"):
            count = file.covered.pop(thread, len(file.later))
            file.synced = _applied(file.synced, file.later[:count])
            del file.later[:count]
            file.covered = {each: max(0, n - count) for each, n in file.covered.items()}
        elif name == "pwrite64":
            file.later.append((int(found[4]), data))
        elif name == "ftruncate":
            file.later.append((-1, int(found[3]).to_bytes(8, "big")))

    def _file(self, path: str) -> _File | None:
        if Path(path).parent != self._folder:
            return None
        return self._files.setdefault(path, _File())

    def cut(self, target: Path, dice: random.Random, share: float) -> None:
        """Write the files as a power cut may leave them.

        Args:
            target: a folder, which is emptied.
            dice: chooses the sectors.
            share: the share of the unsynced sectors that are there, 0 to 1.
        """
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir()
        for path, file in self._files.items():
            if file.is_named or dice.random() < share:
                kept = [part for write in file.later for part in _torn(write, dice, share)]
                (target / Path(path).name).write_bytes(_applied(file.synced, kept))


def _torn(
    write: tuple[int, bytes], dice: random.Random, share: float
) -> Iterator[tuple[int, bytes]]:
    offset, data = write
    if offset < 0:
        if dice.random() < share:
            yield write
        return
    for start in range(0, len(data), _SECTOR):
        if dice.random() < share:
            yield offset + start, data[start : start + _SECTOR]


def _applied(content: bytearray, writes: list[tuple[int, bytes]]) -> bytearray:
    result = bytearray(content)
    for offset, data in writes:
        if offset < 0:
            size = int.from_bytes(data, "big")
            result = result[:size].ljust(size, b"\0")
        else:
            result = result.ljust(offset, b"\0")
            result[offset : offset + len(data)] = data
    return result


def _bytes(escaped: str) -> bytes:
    return bytes.fromhex(escaped.replace("\\x", ""))


def _text(escaped: str) -> str:
    return os.fsdecode(_bytes(escaped))
