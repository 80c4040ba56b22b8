"""Finds turns of phrase that this project does not use, in Python files and in pages.

The rules are in CONTRIBUTING.md. This is a net with holes: it finds openings with a question word
and a list of phrases that read as translated.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from typing import NamedTuple

QUESTIONS = r"(?:What|Which|How|Whether|Why|Who|Whose|Likewise)\b"
"""Words that open no paragraph, heading, list item or table cell of a page."""
OPENINGS = rf"(?:{QUESTIONS}|(?:Where|When|Of|Those|As|By|From|In|On|For|To)\b)"
"""Words that open no docstring, which starts with a verb or a noun phrase."""
ARGUMENT = r"^\s+[\w`, *]+: (?:what|which|how|whether|where|when|who|whose|likewise|of|by)\b"
"""A description in `Args:` or `Attributes:` that opens with such a word."""

_PHRASES = (
    r"(?<!there )(?:is|are|was|were|be) (?-i:none)",
    r"(?<!there )(?:is|are) no (?!longer)\w+",
    r"so (?:many|often|much)",
    r"likewise",
    r"what (?:is|was|are|were|has|have|had)",
    r"(?:gone|goes|go|went|going) on",
    r"(?:lies|lie|lay) (?:in|on|at|below|under|beside|there)",
    r"(?:can|cannot) be had",
    r"(?:at|to) hand",
    r"those that",
    r"by which",
    r"as (?:it is written|has it)",
    r"not any more",
    r"in good order",
    r"how-manieth",
)
PHRASES = re.compile("|".join(rf"\b{phrase}\b" for phrase in _PHRASES), re.IGNORECASE)


class Place(NamedTuple):
    """A line, and the words on it."""

    line: int
    words: str


def in_python(source: str) -> Iterator[Place]:
    """Find places in the docstrings, comments and strings of a module."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _in_opening(node)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from _in_string(node.lineno, node.value)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield from (
                Place(token.start[0], found.group()) for found in PHRASES.finditer(token.string)
            )


def in_page(text: str) -> Iterator[Place]:
    """Find places in the prose of a Markdown page; code is left out."""
    is_code, before = False, ""
    for number, line in enumerate(text.splitlines(), 1):
        is_code ^= line.startswith("```")
        if not is_code:
            prose = re.sub(r"`[^`]*`", "`code`", line)
            yield from (Place(number, found.group()) for found in PHRASES.finditer(prose))
            if (not before.strip() or line.startswith(("#", "-", "*", "|"))) and _asks(prose):
                yield Place(number, prose[:60])
        before = line


def _in_opening(
    node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef,
) -> Iterator[Place]:
    docstring = ast.get_docstring(node)
    if docstring and re.match(OPENINGS, docstring):
        yield Place(node.body[0].lineno, docstring.splitlines()[0])


def _in_string(line: int, value: str) -> Iterator[Place]:
    if " " not in value:
        return
    for found in PHRASES.finditer(re.sub(r"\s+", " ", value)):
        yield Place(line, found.group())
    for below, text in enumerate(value.splitlines()):
        if below and re.match(ARGUMENT, text):
            yield Place(line + below, text.strip())


def _asks(prose: str) -> bool:
    plain = re.sub(r"^(?:#+|[-*]|\d+\.|\|)\s+|\*\*", "", prose)
    return re.match(QUESTIONS, plain) is not None
