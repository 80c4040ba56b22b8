"""`uso verify` of signed outputs: one changed byte, record or ingredient is found and named."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from typer.testing import CliRunner

from jobs.cli import app
from pipelines.config.inputs import FetchConfig
from pipelines.config.schema import RunConfig
from pipelines.driver.run import run
from pipelines.formats import FORMATS
from tests.pipelines.driver.test_driver import config
from tests.pipelines.driver.test_scores import write_styled
from tests.pipelines.packing.outputs import LAYOUTS
from tests.pipelines.provenance.chains import Chain, make_chain
from tests.pipelines.provenance.signed import claim, signer_with
from tests.pipelines.replay.outputs import inline, worker, write_inputs

Change = Callable[[dict[str, Any]], None]


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    return make_chain(tmp_path_factory.mktemp("chain"))


def signed(folder: Path, chain: Chain, image_format: str = "png") -> RunConfig:
    keys = {"certificate": str(chain.certificate), "key": str(chain.key)}
    output = {"format": image_format, "provenance": {"c2pa": True, **keys}}
    return config(folder, output=output, ray={"address": "none"})


def verify(folder: Path, *options: str) -> tuple[int, dict[str, list[str]], dict[str, Any]]:
    """Return the exit code, the rows of each problem, and the numbers of signatures."""
    done = CliRunner().invoke(app, ["verify", str(folder / "out"), "--json", *options])
    found = json.loads(done.stdout)
    problems = {each["kind"]: each["examples"] for each in found["problems"]}
    return done.exit_code, problems, found["signatures"]


def packed_signatures(folder: Path, *options: str) -> tuple[int, dict[str, list[str]], Any]:
    """Verify a packed dataset alone."""
    done = CliRunner().invoke(app, ["verify", str(folder), "--json", *options])
    found = json.loads(done.stdout)
    problems = {each["kind"]: each["examples"] for each in found["problems"]}
    return done.exit_code, problems, found["shard_signatures"]


def change_record(folder: Path, row_id: str, change: Change) -> None:
    """Write the record of a row anew, with other values."""
    (part,) = (folder / "out" / "records").glob("*.parquet")
    table = pq.read_table(part)
    rows = table.to_pylist()
    for row in rows:
        if row["id"] == row_id:
            change(row)
    pq.write_table(pa.Table.from_pylist(rows, table.schema), part)
    (folder / "out" / "run" / "records.sha256").unlink(missing_ok=True)  # it would tell at once


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory, chain: Chain) -> Path:
    folder = tmp_path_factory.mktemp("output")
    write_styled(folder, "ab", "ab")
    run(signed(folder, chain), show_progress=False, make_worker=worker)
    return folder


@pytest.fixture
def copied(output: Path, tmp_path: Path) -> Path:
    shutil.copytree(output, tmp_path, dirs_exist_ok=True)
    return tmp_path


def image_of(folder: Path, row_id: str, extension: str = "png") -> Path:
    (found,) = (folder / "out" / "images").rglob(f"{row_id}.{extension}")
    return found


def replace_image(folder: Path, row_id: str, data: bytes, extension: str = "png") -> None:
    """Replace an image and the hash of its record, as somebody would who can write both."""
    image_of(folder, row_id, extension).write_bytes(data)
    sha256 = hashlib.sha256(data).hexdigest()
    change_record(folder, row_id, lambda row: row.update(sha256=[sha256], image_bytes=[len(data)]))


@pytest.mark.parametrize("name", FORMATS)
def test_an_output_of_each_format_is_whole_until_a_byte_changes(
    tmp_path: Path, chain: Chain, name: str
) -> None:
    write_styled(tmp_path, "ab", "a")
    run(signed(tmp_path, chain, name), show_progress=False, make_worker=worker)
    trust = ("--trust", str(chain.root))
    assert verify(tmp_path, *trust) == (0, {}, {"valid": 2, "trusted": 2})
    assert verify(tmp_path) == (0, {}, {"valid": 2, "trusted": 0})
    extension = "jpg" if name == "jpeg" else name
    image = image_of(tmp_path, "b", extension)
    whole = image.read_bytes()
    # The pixels come first in a WebP file, and last in the others.
    place = 60 if name == "webp" else len(whole) - 60
    changed = bytearray(whole)
    changed[place] ^= 1
    image.write_bytes(bytes(changed))
    assert verify(tmp_path, *trust)[:2] == (4, {"image_changed": ["b"]})
    replace_image(tmp_path, "b", bytes(changed), extension)
    assert verify(tmp_path, *trust) == (
        4,
        {"signature_invalid": ["b"]},
        {"valid": 1, "trusted": 1},
    )


@pytest.mark.parametrize("mode", ["uri", "stat", "content"])
def test_references_of_every_kind_agree_with_their_records(
    tmp_path: Path, chain: Chain, mode: str
) -> None:
    rows: list[dict[str, Any]] = [
        {"content_image": inline(1), "style_images": [inline(1), "ref2.png"]},
        {"content_image": "ref0.png", "style_images": [inline(2)], "content_long_size": 0},
        {"content_image": inline(1), "style_images": ["ref2.png", "ref2.png"], "num_images": 2},
    ]
    small = {"width": 32, "height": 32, "num_steps": 1, "prompt": "a"}
    write_inputs(tmp_path, [{**row, **small} for row in rows])
    fetch = FetchConfig.model_validate({"fingerprint": mode})
    settings = signed(tmp_path, chain).model_copy(update={"fetch": fetch})
    run(settings, show_progress=False, make_worker=worker)
    assert verify(tmp_path) == (0, {}, {"valid": 4, "trusted": 0})


CHANGES: dict[str, tuple[Change, str]] = {
    "prompt": (lambda row: row.update(prompt="y"), "signature_of_another_recipe"),
    "steps": (lambda row: row.update(num_steps=9), "signature_of_another_recipe"),
    "guidance": (lambda row: row.update(guidance=1.5), "signature_of_another_recipe"),
    "seed": (lambda row: row.update(seed=9), "signature_of_another_recipe"),
    "weights": (lambda row: row.update(style_weights=[0.5]), "signature_of_another_recipe"),
    "model": (lambda row: row.update(model="another"), "signature_of_another_recipe"),
    "preset": (lambda row: row.update(preset="fast"), "signature_of_another_recipe"),
    "fingerprint": (lambda row: row.update(fingerprint="0" * 32), "signature_of_another_recipe"),
    "hash before signing": (
        lambda row: row.update(unsigned_sha256=["0" * 64]),
        "signature_of_another_recipe",
    ),
    "no hash before signing": (lambda row: row.update(unsigned_sha256=None), "record_changed"),
    "hash of a style": (
        lambda row: row["reference_versions"][0].update(sha256="0" * 64),
        "signature_of_another_recipe",
    ),
    "no hash of a style": (
        lambda row: row.update(reference_versions=None),
        "signature_of_another_recipe",
    ),
    "licence of the model": (
        lambda row: row.update(model_licence="mit"),
        "signature_of_another_recipe",
    ),
    "no seed": (lambda row: row.update(seed=None), "record_changed"),
    "a style of a library more": (
        lambda row: row.update(
            library_styles=[{"name": "ink", "sha256": "f" * 64, "weight": 1.0, "licence": None}]
        ),
        "signature_of_another_recipe",
    ),
    "a style more": (
        lambda row: row["style_images"].append("b.png"),
        "signature_of_another_recipe",
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_another_value_of_a_record_is_found(copied: Path, name: str) -> None:
    change, kind = CHANGES[name]
    change_record(copied, "a", change)
    code, problems, numbers = verify(copied)
    assert (code, problems[kind]) == (4, ["a"])
    assert problems.keys() <= {kind, "record_changed"}
    assert numbers["valid"] == 1


def test_images_that_change_places_with_their_hashes_are_found(copied: Path) -> None:
    one, other = (image_of(copied, name).read_bytes() for name in "ab")
    replace_image(copied, "a", other)
    replace_image(copied, "b", one)
    assert verify(copied)[:2] == (4, {"signature_of_another_recipe": ["a", "b"]})


def test_a_manifest_that_is_gone_or_another_signers_is_found(
    copied: Path, chain: Chain, tmp_path: Path
) -> None:
    replace_image(copied, "a", _bare(copied, "a"))
    stranger = signer_with(make_chain(tmp_path / "stranger"))
    replace_image(copied, "b", stranger.sign(_bare(copied, "b"), "image/png", claim()))
    code, problems, _ = verify(copied, "--trust", str(chain.root))
    assert (code, problems) == (
        4,
        {"signature_missing": ["a"], "signature_of_another_recipe": ["b"]},
    )


def _bare(folder: Path, row_id: str) -> bytes:
    """Return an image without its manifest, as an encoder leaves it."""
    buffer = io.BytesIO()
    with Image.open(image_of(folder, row_id)) as image:
        image.save(buffer, "PNG")
    return buffer.getvalue()


def test_an_image_of_a_signed_run_without_any_signature_is_found(copied: Path) -> None:
    replace_image(copied, "a", _bare(copied, "a"))
    change_record(copied, "a", lambda row: row.update(unsigned_sha256=None))
    assert verify(copied)[:2] == (4, {"signature_missing": ["a"]})


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_packed_dataset_alone_has_its_signatures_checked(
    copied: Path, chain: Chain, tmp_path: Path, layout: str
) -> None:
    other, stranger = (make_chain(tmp_path / name) for name in ("other", "stranger"))
    done = CliRunner().invoke(app, ["pack", str(copied / "out"), "--layout", layout])
    assert done.exit_code == 0, done.output
    dataset = copied / "out" / layout
    code, problems, numbers = packed_signatures(dataset, "--trust", str(chain.root))
    assert (code, problems, numbers) == (0, {}, {"valid": 2, "trusted": 2})
    code, problems, _ = packed_signatures(dataset, "--trust", str(other.root))
    assert (code, problems) == (4, {"signature_untrusted": ["a", "b"]})
    # Packed as somebody leaves them who can write the record, the image and its hash.
    foreign = signer_with(stranger).sign(_bare(copied, "b"), "image/png", claim())
    replace_image(copied, "a", _bare(copied, "a"))
    replace_image(copied, "b", foreign)
    shutil.rmtree(dataset)
    assert CliRunner().invoke(app, ["pack", str(copied / "out"), "--layout", layout]).exit_code == 0
    code, problems, _ = packed_signatures(dataset)
    assert (code, problems) == (
        4,
        {"signature_missing": ["a"], "signature_of_another_recipe": ["b"]},
    )


def test_an_untrusted_signature_is_told_apart_from_an_invalid_one(
    copied: Path, tmp_path: Path
) -> None:
    other = make_chain(tmp_path / "other")
    code, problems, numbers = verify(copied, "--trust", str(other.root))
    assert (code, problems) == (4, {"signature_untrusted": ["a", "b"]})
    assert numbers == {"valid": 2, "trusted": 0}
    done = CliRunner().invoke(app, ["verify", str(copied / "out")])
    assert done.exit_code == 0
    assert "signatures 2 valid; no root was given with --trust" in " ".join(done.stdout.split())
    done = CliRunner().invoke(app, ["verify", str(copied / "out"), "--trust", "absent.pem"])
    assert (done.exit_code, "--trust absent.pem: cannot be read" in done.output) == (2, True)
