"""Text of a configuration file, which knows where relative paths in it start."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class Written(str):
    """A scalar of a file.

    Parsers turn it into values of their own; it never becomes part of a configuration.

    Attributes:
        directory: The directory of the file.
    """

    __slots__ = ("directory",)
    directory: Path

    def __new__(cls, text: str, directory: Path) -> Written:  # noqa: PYI034 - never subclassed
        """Return the text with its directory."""
        written = super().__new__(cls, text)
        written.directory = directory
        return written
