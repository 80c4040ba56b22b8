from __future__ import annotations

import inspect
import pickle
import re

import pytest

import pipelines.errors
from pipelines.errors import (
    ConfigError,
    LeaseHeldError,
    LedgerError,
    ManifestError,
    PipelineError,
    RunError,
    StorageError,
)
from uso_core.errors import UsoError

CLASSES = {
    name: kind
    for name, kind in vars(pipelines.errors).items()
    if inspect.isclass(kind) and issubclass(kind, UsoError) and not name.startswith("_")
}


def test_the_tree_in_the_docstring_names_every_error() -> None:
    tree = re.findall(r"\b\w+Error\b", pipelines.errors.__doc__ or "")
    own = {name for name, kind in CLASSES.items() if kind.__module__ == pipelines.errors.__name__}
    assert own <= set(tree)


@pytest.mark.parametrize("kind", CLASSES.values(), ids=CLASSES)
def test_a_run_that_had_begun_ends_with_1_and_a_wrong_input_with_2(kind: type[UsoError]) -> None:
    assert kind.exit_code == (1 if issubclass(kind, RunError) else 2)


@pytest.mark.parametrize(
    "error",
    [
        *(kind("a problem") for kind in CLASSES.values() if kind.__init__ is UsoError.__init__),
        ManifestError("m.parquet", "a problem"),
        LedgerError("out/records", "a problem"),
        LeaseHeldError("out/run/lease.json", "host 7"),
        StorageError("s3://b/out", "a problem", "denied"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_survive_pickle(error: PipelineError) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert str(copy) == str(error)
    assert vars(copy) == vars(error)


def test_messages_begin_with_the_place() -> None:
    assert str(ManifestError("m.parquet", "a problem")) == "m.parquet: a problem"
    assert str(StorageError("s3://b/out", "a problem")) == "s3://b/out: a problem"
    assert str(LeaseHeldError("out/lease", "host 7")).startswith("out/lease: another run uses")


def test_one_problem_has_one_line_and_several_have_one_each() -> None:
    assert str(ConfigError.of("run.yaml", ["a: x"])) == "run.yaml: a: x"
    assert str(ConfigError.of("run.yaml", ["a: x", "b: y"])) == "run.yaml:\n  a: x\n  b: y"
