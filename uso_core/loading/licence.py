"""The licence of a base model, from its own card."""

from __future__ import annotations

import re

from uso_core.loading.component_files import FileListing

TINY_LICENCE = "apache-2.0"
"""Licence of tiny models, which this package makes: its own."""
_CARD = "README.md"
_MOST_READ = 64 * 1024
_VALUE = r"[\"']?([\w.+ -]{1,100}?)[\"']?"
_END = r"[ \t]*(?:[ \t]#.*)?$"
_FIELD = re.compile(rf"^(license_name|license):[ \t]*{_VALUE}{_END}", re.MULTILINE)
_OTHER = "other"  # the Hub's word for a licence that only `license_name` names
_KNOWN = {
    "FLUX.1-dev": "flux-1-dev-non-commercial-license",
    "FLUX.1-schnell": "apache-2.0",
}
"""Licences of models without a card beside their weights, by the last part of their names."""


def licence_of(base: FileListing, name: str) -> str | None:
    """Return the licence of a base model: of its card beside the weights, else by its name.

    Args:
        base: the files of the model.
        name: the name of the model, `ModelCard.name`.

    Returns:
        The identifier, as at the Hub; None if neither tells.
    """
    known = _KNOWN.get(name.rstrip("/").rpartition("/")[2])
    if base.folder is None or _CARD not in base.names:
        return known
    try:
        text = (base.folder / _CARD).read_text(encoding="utf-8-sig", errors="replace")[:_MOST_READ]
    except OSError:
        return known
    head = text.split("---", 2)[1] if text.startswith("---") and text.count("---") > 1 else ""
    fields = dict(_FIELD.findall(head))
    own = fields.get("license_name") or fields.get("license")
    return known if own in (None, _OTHER) else own
