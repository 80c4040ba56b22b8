"""`uso serve` with workers that sleep, as a process: `python -m benchmarks.serve.ours FOLDER`."""

from __future__ import annotations

import argparse
import json
import logging
from functools import partial
from pathlib import Path

import uvloop

from benchmarks.serve.worker import TimedWorker
from jobs.serve.config import load_serve_config
from jobs.serve.server import serve


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--actors", type=int, required=True)
    parser.add_argument("--work", type=float, required=True)
    arguments = parser.parse_args()
    folder = arguments.folder
    logging.basicConfig(level=logging.WARNING)
    config = load_serve_config(
        {
            "serve": {
                "port": 0,
                "database": str(folder / "uso.db"),
                "files": str(folder / "files"),
            },
            "model": {"base": "tiny"},
            "stylize": {"gpus_per_actor": 0, "actors": arguments.actors},
        }
    )
    make_worker = partial(TimedWorker, work_s=arguments.work, notes=folder / "model")

    def on_start(url: str, secret: str | None) -> None:
        print(json.dumps({"url": url, "key": secret}), flush=True)

    uvloop.run(serve(config, on_start, make_worker))


if __name__ == "__main__":
    main()
