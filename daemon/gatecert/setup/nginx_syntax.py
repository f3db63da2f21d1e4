"""The syntax of nginx's configuration: directives with their positions, included files too.

Only what a set-up has to find is interpreted. A text that cannot be parsed gives an error, and then
nothing is changed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gatecert.setup.server_plan import Find, Read

MOST_FILES: Final = 500
_TOKEN: Final = re.compile(
    r"\s+|(?P<comment>#[^\n]*)|(?P<mark>[;{}])"
    r"|\"(?P<double>(?:\\.|[^\"\\])*)\"|'(?P<single>(?:\\.|[^'\\])*)'"
    r"|(?P<word>(?![\"'])(?:\\.|\$\{[^}]*\}|[^\s;{}\\])+)",
    re.DOTALL,
)


class NginxSyntaxError(ValueError):
    """A text that is not a configuration of nginx."""


@dataclass(slots=True)
class Directive:
    """A directive.

    Attributes:
        start: Its first character in the text of its file.
        end: The character behind it.
        inner: For a block, the first character behind the brace that opens it.
        below: The directives of a block; those of included files stand in place of ``include``.
    """

    path: Path
    name: str
    values: list[str]
    start: int
    end: int = 0
    inner: int = 0
    below: list[Directive] = field(default_factory=list)

    def find(self, *names: str) -> list[Directive]:
        """Return the directives of these names in this block."""
        return [each for each in self.below if each.name in names]

    def value(self, name: str) -> str:
        """Return the first value of a directive in this block; empty if it is missing."""
        return next((each.values[0] for each in self.find(name) if each.values), "")

    def blocks(self, name: str) -> Iterator[Directive]:
        """Return the blocks of this name at any depth."""
        for each in self.below:
            if each.name == name and each.inner:
                yield each
            yield from each.blocks(name)


def parse_files(path: Path, read: Read, find: Find) -> Directive:
    """Parse a file and those that it includes.

    Raises:
        NginxSyntaxError: One of them is not a configuration of nginx.
    """
    root = Directive(path, "", [], 0)
    _Files(path.parent, read, find).add(path, root)
    return root


class _Files:
    """Parses files; relative names of included files start at one directory."""

    def __init__(self, directory: Path, read: Read, find: Find) -> None:
        self._directory = directory
        self._read = read
        self._find = find
        self._count = 0

    def add(self, path: Path, block: Directive) -> None:
        """Add the directives of a file to a block."""
        self._count += 1
        text = self._read(path)
        if text is None or self._count > MOST_FILES:
            return
        block.below += self._with_included(_parse(path, text))

    def _with_included(self, directives: list[Directive]) -> list[Directive]:
        found: list[Directive] = []
        for each in directives:
            found.append(each)
            if each.name == "include" and each.values:
                for path in self._find(str(self._directory / each.values[0])):
                    self.add(path, each)
                found += each.below
                each.below = []
            else:
                each.below = self._with_included(each.below)
        return found


def _parse(path: Path, text: str) -> list[Directive]:
    """Parse the text of one file."""
    root = Directive(path, "", [], 0)
    words: list[str] = []
    open_blocks, start = [root], 0
    for kind, word, match in _tokens(path, text):
        if kind == "word":
            start = start if words else match.start()
            words.append(word)
        elif word == "}":
            if words or len(open_blocks) == 1:
                raise NginxSyntaxError(f"{path}: a brace is closed in the wrong place")
            open_blocks.pop().end = match.end()
        elif words:
            directive = Directive(path, words[0], words[1:], start, match.end())
            open_blocks[-1].below.append(directive)
            if word == "{":
                directive.inner = match.end()
                open_blocks.append(directive)
            words = []
    if words or len(open_blocks) > 1:
        raise NginxSyntaxError(f"{path}: the file ends inside a directive")
    return root.below


def _tokens(path: Path, text: str) -> Iterator[tuple[str, str, re.Match[str]]]:
    """Return the words and marks of a text."""
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            line = text.count("\n", 0, position) + 1
            raise NginxSyntaxError(f"{path}:{line}: a quote is not closed")
        position = match.end()
        kind = match.lastgroup
        if kind == "mark":
            yield "mark", match["mark"], match
        elif kind in {"word", "double", "single"}:
            yield "word", match[kind], match
