"""Readable names for images and prompts, unique among their kind, from which ids are joined.

Names joined by `SEPARATOR` can be split again: no name contains it, or starts or ends with a part
of it. Two different pairs of names therefore never give the same id.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from hashlib import blake2b

SEPARATOR = "--"

_MOST = 80  # characters: three names and two separators fit into the 256 of an id
_MOST_OF_PROMPT = 40
_UNREADABLE = re.compile(r"[^\w.-]+")
_DASHES = re.compile(r"-{2,}")
# A file name that is a name already, in front of its ending.
_USUAL = re.compile(r"(?:[^?]*/)?(\w[\w.]*(?:-[\w.]+)*)\.[^./?]*")


def image_names(uris: Sequence[str]) -> list[str]:
    """Return a name for each image: its file's, with its folder's or a hash if two share it."""
    return _first_unshared([_image_choices(uri) for uri in uris])


def prompt_names(prompts: Sequence[str]) -> list[str]:
    """Return a name for each prompt: its first words, with a hash if two prompts share them."""
    return _first_unshared([_prompt_choices(prompt) for prompt in prompts])


def stem(uri: str) -> str:
    """Return the file name in a URI, without its ending, as a name that need not be unique."""
    usual = _USUAL.fullmatch(uri)
    if usual is not None and len(usual[1]) <= _MOST:
        return usual[1]
    return _name(_parts(uri)[-1])


def _image_choices(uri: str) -> list[str]:
    *_, folder, last = ["", *_parts(uri)]
    name = _name(last)
    return [name, _name(f"{folder}-{last}"), f"{_cut(name)}-{_hash(uri)}"]


def _prompt_choices(prompt: str) -> list[str]:
    words = _name(prompt.lower() or "no prompt")
    if len(words) > _MOST_OF_PROMPT:
        words = words[:_MOST_OF_PROMPT].rpartition("_")[0] or words[:_MOST_OF_PROMPT]
        words = words.strip("-")
    return [words, f"{words}-{_hash(prompt)}"]


def _parts(uri: str) -> list[str]:
    """Split a URI into its folders and its file name, without the ending."""
    plain = uri.partition("?")[0] if "://" in uri else uri
    *folders, last = [part for part in plain.split("/") if part] or [""]
    head, dot, _ = last.rpartition(".")
    return [*folders, head if dot and head else last]


def _name(text: str) -> str:
    plain = _DASHES.sub("-", _UNREADABLE.sub("_", text)).strip("-") or "x"
    return plain if len(plain) <= _MOST else f"{_cut(plain)}-{_hash(text)}"


def _cut(name: str) -> str:
    """Shorten a name to leave room for a hash."""
    return name[: _MOST - 13].rstrip("-")


def _first_unshared(choices: Sequence[Sequence[str]]) -> list[str]:
    """Take the first choice of each list that no other list takes; number what remains."""
    at = [0] * len(choices)
    while True:
        names = [own[level] for own, level in zip(choices, at, strict=True)]
        counts = Counter(names)
        shared = [
            index
            for index, name in enumerate(names)
            if counts[name] > 1 and at[index] + 1 < len(choices[index])
        ]
        if not shared:
            return _numbered(names, counts)
        for index in shared:
            at[index] += 1


def _numbered(names: list[str], counts: Counter[str]) -> list[str]:
    seen: Counter[str] = Counter()
    for index, name in enumerate(names):
        if counts[name] > 1:
            seen[name] += 1
            names[index] = f"{name}.{seen[name]}"
    return names


def _hash(text: str) -> str:
    return blake2b(text.encode(errors="surrogatepass"), digest_size=6).hexdigest()
