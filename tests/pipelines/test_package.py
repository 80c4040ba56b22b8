from __future__ import annotations

from importlib.metadata import version

import pipelines
import uso_core
from tests.fresh_interpreter import loaded_after


def test_importing_the_package_costs_nothing() -> None:
    heavy = {"ray", "torch", "pyarrow", "pydantic", "fsspec"}
    assert loaded_after("import pipelines") & heavy == set()


def test_a_configuration_loads_neither_ray_nor_torch() -> None:
    code = "from pipelines import RunConfig; RunConfig.from_yaml('configs/demo.yaml')"
    assert loaded_after(code) & {"ray", "torch"} == set()


def test_an_actor_loads_what_it_draws_with_only_when_it_is_told_to() -> None:
    heavy = {"torch", "pyarrow", "pandas", "fsspec", "httpx2", "huggingface_hub"}
    code = "import pipelines.on_ray.actors, pipelines.worker.spec"
    assert loaded_after(code) & heavy == set()


def test_the_driver_can_name_the_stylizer_without_loading_torch_or_ray() -> None:
    heavy = {"torch", "ray", "diffusers"}
    assert loaded_after("import pipelines.worker.stylizer") & heavy == set()


def test_every_public_name_is_there_and_is_offered() -> None:
    assert set(pipelines.__all__) <= set(dir(pipelines))
    names = [getattr(pipelines, name).__name__ for name in pipelines.__all__]
    assert names == pipelines.__all__  # a module that takes the place of one has a longer name


def test_the_version_is_that_of_the_installed_package() -> None:
    assert pipelines.__version__ == uso_core.__version__ == version("uso-batch")
