"""Signatures in the worker: after all other plug-ins, before the hash of the record."""

from __future__ import annotations

import hashlib
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipelines.config.schema import RunConfig
from pipelines.errors import ConfigError
from pipelines.formats import FORMATS
from pipelines.provenance.claim import ModelFacts, inputs_digest
from pipelines.provenance.reading import read_manifest
from pipelines.record import UNSIGNED_SHA256, recorded_inputs
from pipelines.rows import AnotherTry, ManifestRow
from pipelines.storage.storage import Storage
from pipelines.worker.image_plugins import chosen_plugins
from pipelines.worker.sink import FolderSink
from pipelines.worker.spec import StylizerSpec
from pipelines.worker.stylizer import Stylizer
from tests.image_plugins import chosen
from tests.pipelines.pictures import encode, picture
from tests.pipelines.provenance.chains import Chain, make_chain
from tests.pipelines.provenance.signed import claim, signer_with
from tests.pipelines.tiny_models import tiny
from tests.pipelines.worker.stylizing import config_for, make_row, stored

MODEL = ModelFacts("tiny:0", "a licence", "beef", "exact")


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    return make_chain(tmp_path_factory.mktemp("chain"))


def signed_config(folder: Path, chain: Chain, **output: Any) -> RunConfig:
    keys = {"certificate": str(chain.certificate), "key": str(chain.key)}
    provenance = {"c2pa": True, **keys, **output.pop("provenance", {})}
    ray = {"address": "none"}
    given = {"path": str(folder), "provenance": provenance, **output}
    return config_for(folder, output=given, ray=ray)


def stylize(config: RunConfig, row: ManifestRow, *first: str) -> Any:
    spec = StylizerSpec.from_config(config)
    plugins = (*(chosen(name) for name in first), *spec.image_plugins)
    spec = pickle.loads(pickle.dumps(replace(spec, model_facts=MODEL, image_plugins=plugins)))
    stylizer = Stylizer(spec, pipeline=tiny())
    try:
        return stylizer.stylize(row)
    finally:
        stylizer.close()


@pytest.mark.parametrize("name", FORMATS)
def test_each_image_of_a_row_is_signed_before_it_is_hashed(
    tmp_path: Path, chain: Chain, name: Any
) -> None:
    media_type = FORMATS[name].mime_type
    content = signer_with(chain).sign(encode(picture(), "JPEG"), "image/jpeg", claim())
    style = encode(picture(seed=1))
    row = make_row(content=content, styles=(style,), num_images=2)
    plain = stylize(
        config_for(tmp_path / "plain", output={"path": str(tmp_path), "format": name}), row
    )
    outcome = stylize(signed_config(tmp_path / "signed", chain, format=name), row)
    files = stored(outcome)
    assert outcome.sha256 == tuple(hashlib.sha256(data).hexdigest() for data in files)
    assert outcome.image_values[UNSIGNED_SHA256] == plain.sha256
    for index, data in enumerate(files):
        found = read_manifest(data, media_type, chain.anchors)
        assert found is not None
        assert (found.problems, found.trust) == ((), "trusted")
        recipe = found.recipe
        assert (recipe["index"], recipe["seed"]) == (index, row.parameters.seed + index)
        assert recipe["unsigned_sha256"] == plain.sha256[index]
        inputs = {**recorded_inputs(row), "width": 32, "height": 48}
        assert recipe["sha256"] == inputs_digest(inputs, "tiny:0", "exact")
        assert list(found.ingredients) == [
            hashlib.sha256(style).hexdigest(),
            hashlib.sha256(content).hexdigest(),
        ]
        assert found.chained == (hashlib.sha256(content).hexdigest(),)
        assert [each["role"] for each in recipe["references"]] == ["content", "style"]


def test_a_signature_comes_last_and_covers_the_other_plugins(tmp_path: Path, chain: Chain) -> None:
    config = signed_config(tmp_path, chain, format="jpeg")
    outcome = stylize(config, make_row(), "SIGNATURE")  # appends to the file
    (data,) = stored(outcome)
    assert b"signed by nobody: row/0" in data
    found = read_manifest(data, "image/jpeg", chain.anchors)
    assert found is not None
    assert (found.problems, found.trust) == ((), "trusted")


def test_an_image_that_is_not_stored_is_not_signed(tmp_path: Path, chain: Chain) -> None:
    failed = stylize(signed_config(tmp_path, chain), make_row(), "REFUSING")
    assert failed.failure.code == "storage_write"
    assert failed.image_values == {}
    config = signed_config(tmp_path, chain).model_copy(update={"scores": {"sharpness": {}}})
    row = replace(make_row(), another_try=AnotherTry(1, "sharpness", False, best=1e9))
    beaten = stylize(config, row)
    assert beaten.is_beaten
    assert UNSIGNED_SHA256 not in beaten.image_values


def test_a_wish_of_a_row_comes_before_that_of_the_run(tmp_path: Path, chain: Chain) -> None:
    config = signed_config(tmp_path, chain, provenance={"training_mining": "allowed"})
    row = make_row()
    for each, wish in (
        (row, "allowed"),
        (replace(row, training_mining="notAllowed"), "notAllowed"),
    ):
        (data,) = stored(stylize(config, each))
        found = read_manifest(data, "image/png")
        assert found is not None
        assert found.training_mining == wish


def test_a_content_image_that_is_not_used_is_no_ingredient(tmp_path: Path, chain: Chain) -> None:
    row = make_row(content="absent.png", content_long_size=0)
    (data,) = stored(stylize(signed_config(tmp_path, chain), row))
    found = read_manifest(data, "image/png")
    assert found is not None
    assert found.ingredients == ()


def test_keys_are_checked_before_a_run_starts(tmp_path: Path, chain: Chain) -> None:
    config = signed_config(tmp_path, chain, provenance={"key": "absent.pem"})
    with pytest.raises(
        ConfigError, match=r"output\.provenance\.key: .*absent\.pem.*cannot be read"
    ):
        chosen_plugins(config)
    elsewhere = config.model_copy(update={"ray": config.ray.model_copy(update={"address": "auto"})})
    (plugin,) = chosen_plugins(elsewhere)
    assert chain.key.read_text() not in repr(plugin) + repr(pickle.dumps(plugin))


def test_a_certificate_or_variable_that_fails_later_is_refused_before_a_run_starts(
    tmp_path: Path, chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    poor = make_chain(tmp_path / "poor", purpose=None)
    keys = {"certificate": str(poor.certificate), "key": str(poor.key)}
    with pytest.raises(ConfigError, match="lacks an extended key usage"):
        chosen_plugins(signed_config(tmp_path, chain, provenance=keys))
    name = "USO_TEST_SIGNING"
    in_variable = signed_config(tmp_path, chain, provenance={"key": f"${{{name}}}"})
    with pytest.raises(ConfigError, match=r"output\.provenance\.key: .*is not set on this machine"):
        chosen_plugins(in_variable)
    monkeypatch.setenv(name, poor.key.read_text())
    with pytest.raises(ConfigError, match="is not the key of the first certificate"):
        chosen_plugins(in_variable)
    monkeypatch.setenv(name, chain.key.read_text())
    chosen_plugins(in_variable)
    token = {"key": None, "signer": "http://127.0.0.1:1/", "signer_token": "${USO_ABSENT}"}
    with pytest.raises(ConfigError, match=r"signer_token: .* is not set on this machine"):
        chosen_plugins(signed_config(tmp_path, chain, provenance=token))
    # Only the actors have what `ray.env` and other machines give them.
    monkeypatch.delenv(name)
    for ray in ({"address": "none", "env": {name: "${ELSEWHERE}"}}, {"address": "auto"}):
        chosen_plugins(in_variable.model_copy(update={"ray": in_variable.ray.model_validate(ray)}))


def test_a_key_that_stands_in_ray_env_is_refused_without_showing_it(
    tmp_path: Path, chain: Chain
) -> None:
    config = signed_config(tmp_path, chain, provenance={"key": "${SIGNING}"})
    secret = chain.key.read_text()
    ray = config.ray.model_validate({"address": "auto", "env": {"SIGNING": secret}})
    with pytest.raises(ConfigError, match=r"ray\.env\.SIGNING: holds the secret") as caught:
        chosen_plugins(config.model_copy(update={"ray": ray}))
    assert secret.splitlines()[1] not in str(caught.value)


@pytest.mark.parametrize("mode", ["flag", "withhold"])
def test_a_withheld_row_has_neither_an_image_nor_a_signature_and_a_flagged_one_has_both(
    tmp_path: Path, chain: Chain, mode: str
) -> None:
    checker = f"{__name__}:everything"
    config = signed_config(tmp_path, chain)
    safety = config.safety.model_validate({"mode": mode, "checker": checker})
    outcome = stylize(config.model_copy(update={"safety": safety}), make_row(num_images=2))
    assert outcome.image_values["has_nsfw_contents"] == (True, True)
    if mode == "withhold":
        assert outcome.failure.code == "unsafe_content"
        assert (outcome.outputs, outcome.sha256) == ((), ())
        assert set(outcome.image_values.get(UNSIGNED_SHA256, ())) <= {None}
        assert [*tmp_path.rglob("*.png")] == []
        return
    for data in stored(outcome):
        found = read_manifest(data, "image/png", chain.anchors)
        assert found is not None
        assert (found.problems, found.trust) == ((), "trusted")


def test_a_blurred_image_that_a_sink_gets_is_signed_as_it_is(tmp_path: Path, chain: Chain) -> None:
    config = signed_config(tmp_path, chain)
    safety = config.safety.model_validate({"mode": "withhold", "checker": f"{__name__}:everything"})
    spec = StylizerSpec.from_config(config.model_copy(update={"safety": safety}))
    kept: list[bytes] = []

    class Keeping:
        def save(self, row: ManifestRow, files: Any) -> Any:
            kept.extend(file.data for file in files)
            return FolderSink(Storage.at(str(tmp_path))).save(row, files)

    spec = replace(spec, model_facts=MODEL, stores_withheld=True)
    stylizer = Stylizer(spec, pipeline=tiny(), sink=Keeping())
    try:
        outcome = stylizer.stylize(make_row())
    finally:
        stylizer.close()
    assert outcome.failure is not None
    (data,) = kept
    found = read_manifest(data, "image/png", chain.anchors)
    assert found is not None
    assert (found.problems, found.trust) == ((), "trusted")
    assert found.recipe[UNSIGNED_SHA256] == outcome.image_values[UNSIGNED_SHA256][0]


def everything() -> Any:
    """A checker that flags everything."""
    return lambda _image: 1.0
