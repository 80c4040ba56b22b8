"""transformers, imported with one pass over its files."""

from __future__ import annotations

from tests.fresh_interpreter import printed_by

IMPORT = """
from pathlib import Path
from pipelines.worker.one_pass import import_transformers, names_of_models
import_transformers()
import transformers
from transformers.utils import import_utils
from transformers.models.clip import CLIPTextConfig
"""

COMPARE = """
read = import_utils.define_import_structure
folder = Path(transformers.__file__).parent / "models"
assert read.__module__ == "transformers.utils.import_utils"  # it is back
passes = import_utils.create_import_structure_from_path.cache_info().misses
known = names_of_models(read, folder)
assert import_utils.create_import_structure_from_path.cache_info().misses == passes
print(known == read(str(folder / "__init__.py")), sum(map(len, known.values())) > 1000)
"""

OTHER_VERSION = """
import sys, transformers
from transformers.utils import import_utils
del import_utils.define_import_structure
from pipelines.worker.one_pass import import_transformers
import_transformers()
print("transformers.models" in sys.modules)
"""


def test_the_second_import_gets_the_names_that_it_would_read() -> None:
    assert printed_by(IMPORT + COMPARE) == "True True\n"


def test_a_version_without_that_function_is_imported_as_it_is() -> None:
    assert printed_by(OTHER_VERSION) == "False\n"
