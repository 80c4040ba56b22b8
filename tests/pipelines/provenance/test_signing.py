"""Images of each format, signed under other CAs and read back; their chains of references."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image

from pipelines.provenance.claim import inputs_digest
from pipelines.provenance.reading import read_manifest
from pipelines.provenance.references import ReferenceFile
from pipelines.provenance.sdk import read_store
from pipelines.reference_facts import LibraryStyle
from tests.pipelines.pictures import encode, picture
from tests.pipelines.provenance.chains import Chain, make_chain
from tests.pipelines.provenance.signed import (
    ENCODINGS,
    INPUTS,
    MODEL,
    claim,
    encoded,
    mime,
    reference,
    signer_with,
)

KINDS = ("es256", "es384", "es512", "ps256", "ed25519")


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    return make_chain(tmp_path_factory.mktemp("chain"))


@pytest.mark.parametrize("name", ENCODINGS)
def test_a_signed_image_of_each_format_is_read_back(chain: Chain, name: str) -> None:
    data, media_type = encoded(name), mime(ENCODINGS[name].format)
    signed = signer_with(chain).sign(data, media_type, claim(training_mining="notAllowed"))
    found = read_manifest(signed, media_type, chain.anchors)
    assert found is not None
    assert (found.problems, found.trust, found.signer) == ((), "trusted", "Photo Lab")
    assert found.recipe["sha256"] == inputs_digest(INPUTS, MODEL.name, MODEL.preset)
    assert found.recipe["model"] == {
        "name": "a/model",
        "licence": "a licence",
        "fingerprint": "beef",
    }
    assert found.training_mining == "notAllowed"
    with Image.open(io.BytesIO(signed)) as one, Image.open(io.BytesIO(data)) as other:
        assert one.tobytes() == other.tobytes()
    assert len(signed) - len(data) < 8_000  # no thumbnail


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("intermediates", [0, 2])
def test_chains_of_other_cas_with_each_kind_of_key(
    tmp_path: Path, kind: str, intermediates: int
) -> None:
    chain = make_chain(tmp_path, kind, intermediates=intermediates)
    found = read_manifest(
        signer_with(chain).sign(encoded("png"), "image/png", claim()), "image/png", chain.anchors
    )
    assert found is not None
    assert (found.problems, found.trust) == ((), "trusted")
    assert found.algorithm.lower() == kind


def test_a_key_of_one_kind_may_have_issuers_of_another(tmp_path: Path) -> None:
    chain = make_chain(tmp_path, "ed25519", issuers="ps256", intermediates=2)
    signed = signer_with(chain).sign(encoded("png"), "image/png", claim())
    found = read_manifest(signed, "image/png", chain.anchors)
    assert found is not None
    assert (found.problems, found.trust) == ((), "trusted")


def test_an_untrusted_signature_is_not_an_invalid_one(chain: Chain, tmp_path: Path) -> None:
    signed = signer_with(chain).sign(encoded("png"), "image/png", claim())
    other = make_chain(tmp_path)
    for anchors in (None, other.anchors):
        found = read_manifest(signed, "image/png", anchors)
        assert found is not None
        assert (found.problems, found.trust) == ((), "untrusted")


@pytest.mark.parametrize("name", ENCODINGS)
def test_a_changed_byte_of_the_picture_is_found(chain: Chain, name: str) -> None:
    media_type = mime(ENCODINGS[name].format)
    data = encoded(name)
    signed = signer_with(chain).sign(data, media_type, claim())
    for start in (len(data) // 2, len(data) - 24):
        changed = bytearray(signed)
        changed[signed.index(data[start : start + 16])] ^= 1
        found = read_manifest(bytes(changed), media_type)
        assert found is not None
        assert found.problems, start


def test_a_changed_ingredient_and_a_changed_recipe_are_found(chain: Chain) -> None:
    style = encoded("jpeg", 3)
    references = [reference(style)]
    signed = signer_with(chain).sign(encoded("png"), "image/png", claim(references=references))
    sha256 = references[0].sha256
    for text in (sha256, MODEL.name, MODEL.licence, "f00d"):
        at = signed.index(text.encode())
        changed = bytearray(signed)
        changed[at] ^= 1
        found = read_manifest(bytes(changed), "image/png")
        assert found is not None
        assert found.problems, text


def test_references_are_ingredients_by_their_hashes(chain: Chain) -> None:
    files = [reference(encoded("jpeg", 1), "content"), reference(encoded("png", 2))]
    signed = signer_with(chain).sign(encoded("png"), "image/png", claim(references=files))
    found = read_manifest(signed, "image/png")
    assert found is not None
    assert list(found.ingredients) == [each.sha256 for each in files]
    assert found.recipe["references"] == [
        {"role": "content", "sha256": files[0].sha256},
        {"role": "style", "sha256": files[1].sha256},
    ]
    assert found.chained == ()


def test_styles_of_a_library_are_ingredients_by_their_tokens(chain: Chain) -> None:
    styles = [LibraryStyle("ink", "a" * 64, 0.5, "CC0"), LibraryStyle("oil", "b" * 64)]
    files = [reference(encoded("jpeg", 1), "content")]
    made = claim(references=files, library_styles=styles)
    signed = signer_with(chain).sign(encoded("png"), "image/png", made)
    found = read_manifest(signed, "image/png")
    assert found is not None
    assert (found.problems, found.ingredients) == ((), (files[0].sha256,))
    assert found.recipe["library_styles"] == [
        {"sha256": "a" * 64, "weight": 0.5},
        {"sha256": "b" * 64, "weight": 1.0},
    ]
    assert "library_styles" not in claim().recipe()
    for text in (b"urn:uso-batch:style:" + b"a" * 64, b"Licence: CC0", b"Licence: unknown"):
        assert text in signed


@pytest.mark.parametrize("name", ["png", "jpeg", "webp"])
def test_references_bring_their_own_manifests_along(
    chain: Chain, tmp_path: Path, name: str
) -> None:
    lab, media_type = make_chain(tmp_path, "ps256"), mime(ENCODINGS[name].format)
    first = signer_with(lab).sign(encoded(name, 1), media_type, claim())
    second = signer_with(lab).sign(
        encoded("png", 2), "image/png", claim(references=[reference(first)])
    )
    # The same file twice: in two roles, and inside another reference.
    files = [reference(first, "content"), reference(first), reference(second, at=2)]
    signed = signer_with(chain).sign(encoded("webp"), "image/webp", claim(references=files))
    found = read_manifest(signed, "image/webp", chain.anchors)
    assert found is not None
    assert (found.problems, found.trust) == ((), "trusted")
    assert sorted(found.chained) == sorted(each.sha256 for each in files)
    store = read_store(signed, "image/webp")
    assert store is not None
    assert len(store["manifests"]) == 3
    alone = signer_with(chain, reference_manifests=False)
    found = read_manifest(
        alone.sign(encoded("webp"), "image/webp", claim(references=files)), "image/webp"
    )
    assert found is not None
    assert (found.chained, len(found.ingredients)) == ((), 3)


@pytest.mark.parametrize("name", ["AVIF", "TIFF", "GIF"])
def test_references_of_other_formats_bring_theirs_along(chain: Chain, name: str) -> None:
    media_type = f"image/{name.lower()}"
    lab = signer_with(chain)
    first = lab.sign(encode(picture(64, 64), name), media_type, claim())
    files = [reference(first)]
    signed = lab.sign(encoded("jpeg"), "image/jpeg", claim(references=files))
    found = read_manifest(signed, "image/jpeg", chain.anchors)
    assert found is not None
    assert (found.problems, found.trust) == ((), "trusted")
    assert found.chained == (files[0].sha256,)


def test_a_reference_with_a_broken_manifest_does_not_fail_its_row(
    chain: Chain, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lab = signer_with(make_chain(tmp_path))
    good = lab.sign(encoded("jpeg", 1), "image/jpeg", claim())
    at = good.index(b"c2pa.claim")
    garbage = good[: at - 40] + b"\xff" * 10 + good[at - 30 :]
    changed = bytearray(good)
    changed[-20] ^= 1
    files = [
        reference(good),
        reference(garbage, at=2),
        reference(bytes(changed), at=3),
        reference(good[:-300], at=4),
        reference(b"c2pa is only mentioned here", at=5),
    ]
    signer = signer_with(chain)
    for _ in range(2):
        signed = signer.sign(encoded("png"), "image/png", claim(references=files))
        found = read_manifest(signed, "image/png", chain.anchors)
        assert found is not None
        assert (found.problems, found.trust) == ((), "trusted")
        assert sorted(found.ingredients) == sorted(each.sha256 for each in files)
        assert files[0].sha256 in found.chained
        assert files[1].sha256 not in found.chained
    left_out = [each.message for each in caplog.records if "left_out" in each.message]
    assert len(left_out) == 1
    assert files[1].sha256 in left_out[0]


def test_a_file_is_kept_only_if_it_may_have_a_manifest(chain: Chain) -> None:
    plain = encoded("png")
    signed = signer_with(chain).sign(plain, "image/png", claim())
    assert ReferenceFile.of(plain).data is None
    assert ReferenceFile.of(signed).data == signed


def test_threads_share_a_signer(chain: Chain) -> None:
    signer = signer_with(chain)

    def sign(seed: int) -> tuple[str, ...]:
        signed = signer.sign(encoded("png", seed), "image/png", claim(seed=seed))
        found = read_manifest(signed, "image/png", chain.anchors)
        assert found is not None
        assert (found.recipe["seed"], found.trust) == (seed, "trusted")
        return found.problems

    with ThreadPoolExecutor(4) as threads:
        assert {*threads.map(sign, range(12))} == {()}


def test_a_thumbnail_is_made_on_request(chain: Chain) -> None:
    plain, small = (
        len(signer_with(chain, thumbnail=side).sign(encoded("png"), "image/png", claim()))
        for side in (0, 64)
    )
    assert plain + 400 < small


def test_a_file_without_a_manifest_and_one_that_is_no_image() -> None:
    assert read_manifest(encoded("png"), "image/png") is None
    assert read_manifest(encoded("jpeg"), "image/jpeg") is None
    found = read_manifest(b"\x89PNG\r\n\x1a\n", "image/png")
    assert found is None or found.problems
