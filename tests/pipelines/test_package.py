from __future__ import annotations

import subprocess
import sys


def python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=50
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_the_package_costs_nothing() -> None:
    heavy = "{'ray', 'torch', 'pyarrow', 'pydantic', 'fsspec'}"
    assert python(f"import sys, pipelines; print({heavy} & set(sys.modules))") == "set()\n"


def test_a_configuration_loads_neither_ray_nor_torch() -> None:
    code = "import sys; from pipelines import RunConfig; RunConfig.from_yaml('configs/demo.yaml')"
    assert python(f"{code}; print({{'ray', 'torch'}} & set(sys.modules))") == "set()\n"


def test_an_actor_loads_what_it_draws_with_only_when_it_is_told_to() -> None:
    heavy = "{'torch', 'pyarrow', 'pandas', 'fsspec', 'httpx2', 'huggingface_hub'}"
    code = "import sys, pipelines.driver.ray_actors, pipelines.worker.spec"
    assert python(f"{code}; print({heavy} & set(sys.modules))") == "set()\n"


def test_every_public_name_is_there_and_is_offered() -> None:
    code = "import pipelines as p; print(*[n for n in p.__all__ if n in dir(p) and getattr(p, n)])"
    assert python(code) == "ConfigError ManifestError RunConfig RunError run\n"
