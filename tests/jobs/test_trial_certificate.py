"""`uso keys test-ca`: files that sign at once, and say that they are a test."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from cryptography import x509
from typer.testing import CliRunner, Result

from jobs.cli import app
from pipelines.config.provenance import ProvenanceConfig
from pipelines.provenance.reading import read_manifest
from pipelines.provenance.signing import ImageSigner
from pipelines.provenance.trial_ca import Algorithm
from tests.pipelines.provenance.signed import claim, encoded


def make(folder: Path, *options: str) -> Result:
    return CliRunner().invoke(app, ["keys", "test-ca", str(folder), *options])


@pytest.mark.parametrize("algorithm", get_args(Algorithm))
def test_the_printed_section_signs(tmp_path: Path, algorithm: str) -> None:
    done = make(tmp_path / "keys", "--algorithm", algorithm)
    assert done.exit_code == 0, done.output
    section: dict[str, Any] = yaml.safe_load(done.stdout)["output"]["provenance"]
    signer = ImageSigner(ProvenanceConfig.model_validate(section))
    root = (tmp_path / "keys" / "root.pem").read_text()
    found = read_manifest(signer.sign(encoded("png"), "image/png", claim()), "image/png", root)
    assert found is not None
    assert (found.problems, found.trust, "TEST" in found.signer) == ((), "trusted", True)


def test_all_names_say_test_and_the_key_is_for_its_owner_alone(tmp_path: Path) -> None:
    make(tmp_path)
    for name in ("certificate", "root"):
        for each in x509.load_pem_x509_certificates((tmp_path / f"{name}.pem").read_bytes()):
            for subject in (each.subject, each.issuer):
                assert all("TEST" in str(part.value) for part in subject)
    assert (tmp_path / "key.pem").stat().st_mode & 0o777 == 0o600


def test_files_that_exist_are_not_overwritten(tmp_path: Path) -> None:
    make(tmp_path)
    before = (tmp_path / "key.pem").read_bytes()
    again = make(tmp_path)
    assert again.exit_code == 2
    assert "exists, and is not overwritten" in again.output
    assert (tmp_path / "key.pem").read_bytes() == before
