"""The section `output.provenance`: keys are named and never given."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from pipelines.config.plain_secrets import plain_secrets
from pipelines.config.redaction import redacted
from pipelines.config.schema import RunConfig, load_config
from pipelines.errors import ConfigError

PEM = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49\n-----END PRIVATE KEY-----\n"


def config(**keys: Any) -> RunConfig:
    given = {"c2pa": True, "certificate": "chain.pem", **keys}
    return load_config({"manifest": {"path": "m"}, "output": {"path": "o", "provenance": given}})


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"key": PEM}, "output.provenance.key: holds the content of a file"),
        ({"key": PEM.replace("\n", " ")}, "output.provenance.key: holds the content of a file"),
        ({"certificate": PEM, "key": "k"}, "output.provenance.certificate: holds the content"),
        ({"key": "a/${NAME}"}, "output.provenance.key: mixes a path and a variable"),
        ({}, "c2pa needs either key, a PEM file, or signer, a URL; give one"),
        ({"key": "k", "signer": "https://a"}, "either key, a PEM file, or signer"),
        ({"certificate": None, "key": "k"}, "c2pa needs certificate, a PEM file"),
        ({"signer": "ftp://a"}, "output.provenance.signer: is not an http:// or https:// URL"),
        (
            {"signer": "https://a", "signer_token": "sesame"},
            "signer_token: must not be in the file",
        ),
        ({"key": "k", "signer_token": "${T}"}, "signer_token is for a signer"),
        ({"key": "k", "training_mining": "no"}, "training_mining: 'no' is not accepted"),
        ({"key": "k", "watermark": "trustmark"}, "there is no invisible watermark"),
    ],
)
def test_a_section_that_cannot_work_is_refused_with_the_reason(
    keys: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        config(**keys)
    assert words in str(caught.value)
    assert "MIGH" not in str(caught.value)
    assert "sesame" not in str(caught.value)


def test_a_path_and_a_variable_are_shown_and_sent_as_they_are() -> None:
    for key in ("keys/signing.pem", "${USO_SIGNING_KEY}"):
        found = config(key=key)
        assert redacted(found)["output"]["provenance"]["key"] == key
        assert plain_secrets(found) == []


def test_a_password_in_the_url_of_a_signer_is_a_secret() -> None:
    found = config(signer="https://me:sesame@signer.example.com/sign", signer_token="${TOKEN}")
    assert "sesame" not in yaml.safe_dump(redacted(found))
    assert plain_secrets(found) == ["output.provenance.signer"]


def test_a_section_that_is_switched_off_needs_nothing() -> None:
    assert not config(c2pa=False, certificate=None).output.provenance.c2pa
