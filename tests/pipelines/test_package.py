from __future__ import annotations

import inspect
import re
from importlib.metadata import version

import pipelines
import pipelines.errors
import uso_core
from pipelines.driver.run import run
from tests.fresh_interpreter import loaded_after


def test_importing_the_package_costs_nothing() -> None:
    heavy = {"ray", "torch", "pyarrow", "pydantic", "fsspec"}
    assert loaded_after("import pipelines") & heavy == set()


def test_a_configuration_loads_neither_ray_nor_torch() -> None:
    code = "from pipelines import load_config; load_config('configs/demo.yaml')"
    assert loaded_after(code) & {"ray", "torch"} == set()


def test_an_actor_imports_the_model_s_packages_only_when_it_loads_the_model() -> None:
    heavy = {"torch", "pyarrow", "pandas", "fsspec", "httpx2", "huggingface_hub"}
    code = "import pipelines.on_ray.actors, pipelines.worker.spec"
    assert loaded_after(code) & heavy == set()


def test_the_driver_can_name_the_stylizer_without_loading_torch_or_ray() -> None:
    heavy = {"torch", "ray", "diffusers"}
    assert loaded_after("import pipelines.worker.stylizer") & heavy == set()


def test_every_public_name_exists_and_is_listed() -> None:
    assert set(pipelines.__all__) <= set(dir(pipelines))
    names = [getattr(pipelines, name).__name__ for name in pipelines.__all__]
    assert names == pipelines.__all__  # a submodule of the same name would have a dotted name


def test_every_error_that_run_documents_is_public() -> None:
    raises = inspect.cleandoc(run.__doc__ or "").partition("Raises:\n")[2]
    documented = set(re.findall(r"\b\w+Error\b", raises))
    assert {"ConfigError", "CheckpointError", "RunError"} <= documented
    kinds_of_run_error = {
        name
        for name, value in vars(pipelines.errors).items()
        if inspect.isclass(value) and issubclass(value, pipelines.errors.RunError)
    }
    exported = {name for name in pipelines.__all__ if name.endswith("Error")}
    assert exported == documented | kinds_of_run_error | {"UsoError"}


def test_the_types_that_run_takes_and_returns_are_public() -> None:
    signature = inspect.signature(run)
    types = [signature.parameters[name].annotation for name in ("config", "listener")]
    types.append(signature.return_annotation)
    types.append(inspect.signature(pipelines.Listener.update).parameters["snapshot"].annotation)
    standard = {"None", "PathLike", "Mapping", "Any"}
    names = set(re.findall(r"[A-Z]\w+", " ".join(types))) - standard
    assert names == {"RunConfig", "Listener", "RunSummary", "Snapshot"}
    assert names <= set(pipelines.__all__)


def test_the_version_is_the_version_of_the_installed_package() -> None:
    assert pipelines.__version__ == uso_core.__version__ == version("uso-batch")
