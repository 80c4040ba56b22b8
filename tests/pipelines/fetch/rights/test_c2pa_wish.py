"""Wishes in C2PA manifests."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from pipelines.fetch.rights.c2pa_wish import UNREAD, c2pa_wish
from tests.pipelines.fetch.rights.test_xmp import xmp
from tests.pipelines.pictures import encode, picture
from tests.pipelines.provenance.chains import Chain, make_chain

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    return make_chain(tmp_path_factory.mktemp("chain"))


@pytest.mark.parametrize(
    ("name", "wish"),
    [
        ("c2pa_no_inference.jpg", "c2pa.training-mining c2pa.ai_inference notAllowed"),
        ("cawg_constrained.png", "cawg.training-mining cawg.ai_generative_training constrained"),
        ("cawg_allowed.webp", None),
    ],
)
def test_assertions_of_c2pa(name: str, wish: str | None) -> None:
    pytest.importorskip("c2pa")
    assert c2pa_wish((HERE / name).read_bytes()) == wish


MINING: dict[str, Any] = {"label": "cawg.training-mining"}
NO = {"use": "notAllowed"}


@pytest.mark.parametrize(
    ("data", "wish"),
    [
        ({"entries": {"a": NO}}, "cawg.training-mining a notAllowed"),
        ({"entries": {"a": "notAllowed"}}, "cawg.training-mining a notAllowed"),
        ({"entries": []}, None),
        ({"entries": {"a": {"use": ["notAllowed"]}}}, None),
        ([NO], None),
        (None, None),
    ],
)
def test_assertions_of_any_shape_are_read(chain: Chain, data: object, wish: str | None) -> None:
    """Whoever signs a manifest writes what they like into it."""
    pytest.importorskip("c2pa")
    manifest = signed(chain, [MINING | {"data": data}] if data is not None else [])
    assert c2pa_wish(manifest) == wish


def test_a_wish_of_the_image_that_an_editor_opened_holds(chain: Chain) -> None:
    pytest.importorskip("c2pa")
    original = signed(chain, [MINING | {"data": {"entries": {"a": NO}}}])
    assert c2pa_wish(signed(chain, [], original)) == "cawg.training-mining a notAllowed"
    allowed = [MINING | {"data": {"entries": {"a": {"use": "allowed"}}}}]
    assert c2pa_wish(signed(chain, allowed, original)) is None


def signed(chain: Chain, assertions: list[dict[str, Any]], opened: bytes | None = None) -> bytes:
    """Return a PNG with a manifest: a new one, or an edited one with its manifest."""
    import c2pa  # noqa: PLC0415 (an extra)

    image = encode(picture(), "PNG") if opened is None else opened
    builder = c2pa.Builder(json.dumps({"assertions": assertions}))
    intent = c2pa.C2paBuilderIntent
    if opened is None:
        builder.set_intent(intent.CREATE, c2pa.C2paDigitalSourceType.DIGITAL_CAPTURE)
    else:
        builder.set_intent(intent.EDIT)
    signer = c2pa.Signer.from_info(
        c2pa.C2paSignerInfo(b"es256", chain.certificate.read_bytes(), chain.key.read_bytes(), None)
    )
    out = io.BytesIO()
    builder.sign(signer, "image/png", io.BytesIO(image), out)
    return out.getvalue()


def test_without_the_extra_a_manifest_counts_as_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "c2pa", None)
    assert c2pa_wish((HERE / "cawg_constrained.png").read_bytes()) == UNREAD
    assert c2pa_wish(xmp()) is None


def test_a_damaged_manifest_states_nothing() -> None:
    pytest.importorskip("c2pa")
    data = bytearray((HERE / "c2pa_no_inference.jpg").read_bytes())
    at = data.find(b"jumb")
    data[at + 4 : at + 400] = bytes(396)
    assert c2pa_wish(bytes(data)) is None
