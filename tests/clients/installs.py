"""Public clients, each in an environment of its own under build/clients, made once."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock

SCRIPTS = Path(__file__).parent / "scripts"
_FOLDER = Path(__file__).parents[2] / "build" / "clients"


def python_packages(name: str, *requirements: str, alone: str | None = None) -> Path:
    """Return a folder for PYTHONPATH that holds some packages.

    Args:
        name: name of the folder.
        requirements: packages, each with a version.
        alone: a package to install without those on which it depends.
    """
    pip = [sys.executable, "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
    target = ["--target", str(_FOLDER / name)]
    commands = [[*pip, *target, *requirements]] if requirements else []
    if alone is not None:
        commands.append([*pip, "--no-deps", *target, alone])
    return _made(name, commands)


def node_packages(name: str, *requirements: str) -> Path:
    """Return a folder in which Node finds some packages."""
    npm = ["npm", "install", "--silent", "--no-fund", "--no-audit", "--ignore-scripts"]
    return _made(name, [[*npm, "--prefix", str(_FOLDER / name), *requirements]])


def _made(name: str, commands: Sequence[Sequence[str]]) -> Path:
    folder, made = _FOLDER / name, _FOLDER / f"{name}.made"
    text = "\n".join(" ".join(command[1:]) for command in commands)
    _FOLDER.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{made}.lock"):
        if not made.exists() or made.read_text() != text:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            for command in commands:
                _run(command, {})
            made.write_text(text)
    return folder


def run_python(arguments: Sequence[str], packages: Path, **env: str) -> str:
    """Run Python with some packages before those of this environment, and return its output."""
    return _run([sys.executable, *arguments], {"PYTHONPATH": str(packages), **env})


def run_node(script: str, packages: Path, *arguments: str) -> str:
    """Bundle a script, because Node alone cannot load inference.sh's package, and run it."""
    source, bundle = packages / script, packages / "bundled" / script
    shutil.copy(SCRIPTS / script, source)
    esbuild = packages / "node_modules" / ".bin" / "esbuild"
    options = ["--bundle", "--platform=node", "--format=esm", "--log-level=warning"]
    # A package in CommonJS asks for Node's own modules, which a bundle of ES modules has not.
    require = "import { createRequire } from 'module'; const require = createRequire('/');"
    _run([str(esbuild), str(source), *options, f"--banner:js={require}", f"--outfile={bundle}"], {})
    return _run(["node", str(bundle), *arguments], {})


def _run(command: Sequence[str], env: dict[str, str]) -> str:
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, env={**os.environ, **env}
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout
