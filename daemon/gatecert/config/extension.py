"""Extension of a configuration file by authorities, challenges and gateways.

Nothing that is written changes: a gateway that exists is refused, and an authority or challenge
that exists must be equal to the new one. The result is read and checked as `gatecert check` reads
it, with the files that it includes, before anything is written. A caller writes
``Extension.data`` with ``store.operator_files.replace_configuration``.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from gatecert.config.include import complete
from gatecert.config.insertion import as_line, as_text, insert
from gatecert.config.load import validate
from gatecert.config.schema import Configuration
from gatecert.config.schema.authority import AuthoritySettings
from gatecert.config.schema.challenge import ChallengeSettings
from gatecert.config.source_file import contents, parse, text
from gatecert.config.tree import build
from gatecert.errors import ConfigurationError, Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gatecert.config.document import Document
    from gatecert.config.schema.base import Settings
    from gatecert.config.tree import Plain

Entries: TypeAlias = "Mapping[str, Mapping[str, object]]"
HEADER: Final = """\
# The configuration of gatecert (gatecert-config(5), docs/configuration.md).
# `gatecert check` validates it; `systemctl reload gatecert` makes the daemon read it again.

"""


@dataclass(frozen=True, slots=True)
class Additions:
    """New entries, as written in YAML: plain mappings, lists, strings, numbers and booleans.

    Attributes:
        authorities: By name.
        challenges: By challenge type, such as ``http-01``.
        gateways: By name.
    """

    gateways: Entries
    authorities: Entries = field(default_factory=dict)
    challenges: Entries = field(default_factory=dict)

    def sections(self) -> dict[str, Entries]:
        """Return the sections of the file, in the order of config.example.yaml."""
        return {
            "authorities": self.authorities,
            "challenges": self.challenges,
            "gateways": self.gateways,
        }


@dataclass(frozen=True, slots=True)
class Extension:
    """A configuration file with the additions; nothing is written yet.

    Attributes:
        path: The file.
        before: Its contents; None if it does not exist.
        data: Its new contents.
        added: The YAML that is added, for a preview.
        configuration: The complete new configuration.
    """

    path: Path
    before: bytes | None
    data: bytes
    added: str
    configuration: Configuration

    @property
    def is_needed(self) -> bool:
        """Tell whether there is anything to write."""
        return self.data != self.before


def extend(path: Path, additions: Additions, *, check_files: bool = True) -> Extension:
    """Add to a configuration file, in memory.

    Args:
        path: The file; it need not exist.
        additions: What to add.
        check_files: Whether to check the files that the configuration names.

    Raises:
        ConfigurationError: The file cannot be read; a gateway exists already; an authority or
            challenge exists and differs; or the result has errors.
    """
    before = contents(path) if _exists(path) else None
    old = text(path, before or b"")
    document = _document(path, old)
    missing = _missing(document, additions)
    new = insert(old or HEADER, missing)
    _check_insertion(path, old, new, missing)
    configuration = validate(complete(parse(path, new)), check_files=check_files)
    _check_equal(document, path, additions, configuration)
    mark = codecs.BOM_UTF8 if (before or b"").startswith(codecs.BOM_UTF8) else b""
    added = as_text({section: entries for section, entries in missing.items() if entries})
    return Extension(path, before, mark + new.encode(), added, configuration)


def read_unfinished(path: Path) -> Configuration | None:
    """Return the configuration so far, which may have no gateway yet; None if there is none.

    Raises:
        ConfigurationError: It has errors.
    """
    if not _exists(path):
        return None
    document = _document(path, text(path, contents(path)))
    if document is None:
        return None
    if _entries(document.plain(), "gateways"):
        return validate(document)
    # A configuration without a gateway is an error elsewhere, but not before the first is added.
    first = Additions({"first": {"hostname": "first.invalid", "mode": "custom"}})
    return extend(path, first).configuration.model_copy(update={"gateways": {}})


def _exists(path: Path) -> bool:
    """Tell whether there is a file or link; if that is unknown, reading it will say why."""
    try:
        path.lstat()
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return True


def _document(path: Path, written: str) -> Document | None:
    """Return what is written so far, with the files that it includes."""
    main = parse(path, written)
    return complete(main) if main.root is not None else None


def _missing(document: Document | None, additions: Additions) -> dict[str, Entries]:
    """Return the additions that are not written yet.

    Raises:
        ConfigurationError: A gateway exists.
    """
    if document is None:
        return additions.sections()
    written = document.plain()
    existing = [name for name in additions.gateways if name in _entries(written, "gateways")]
    if existing:
        problems = [
            document.problem(
                ("gateways", name), "exists already and stays as it is; choose another name"
            )
            for name in existing
        ]
        raise ConfigurationError(document.in_order(problems))
    return {
        section: {
            name: entry
            for name, entry in entries.items()
            if _entries(written, section).get(name) is None
        }
        for section, entries in additions.sections().items()
    }


def _entries(written: Mapping[str, Plain], section: str) -> Mapping[str, Plain]:
    """Return the entries of a section; none if it is missing or no mapping."""
    found = written.get(section)
    return found if isinstance(found, dict) else {}


def _check_insertion(path: Path, old: str, new: str, missing: Mapping[str, Entries]) -> None:
    """Check that the new text is the old one and the additions, and nothing else.

    Raises:
        ConfigurationError: It is not, because of the way in which the file is written.
    """
    added = _plain(path, as_text(missing))
    wanted = _plain(path, old)
    for section, entries in added.items():
        if entries and isinstance(entries, dict):
            wanted[section] = {**_entries(wanted, section), **entries}
    if parse(path, new).problems or _plain(path, new) != wanted:
        line = as_line({section: entries for section, entries in missing.items() if entries})
        what = (
            "cannot be extended safely, because of aliases, merge keys or unusual indentation; "
            f"nothing is written; add this yourself: {line[1:-1]}"
        )
        raise ConfigurationError([Problem(str(path), "", what)])


def _plain(path: Path, written: str) -> dict[str, Plain]:
    """Return the keys and values of a text."""
    root, _ = build(written, path.absolute().parent)
    value = root.plain() if root is not None else None
    return dict(value) if isinstance(value, dict) else {}


def _check_equal(
    document: Document | None, path: Path, additions: Additions, configuration: Configuration
) -> None:
    """Check that what was written before is the same as what should be added.

    Raises:
        ConfigurationError: An authority or challenge is different.
    """
    wanted = _plain(path, as_text(additions.sections()))
    challenges = {
        name: getattr(configuration.challenges, name.replace("-", "_"))
        for name in additions.challenges
    }
    problems = [
        document.problem((section, name), what)
        for section, existing, kind, what in (
            ("authorities", configuration.authorities, AuthoritySettings, DIFFERENT_AUTHORITY),
            ("challenges", challenges, None, DIFFERENT_CHALLENGE),
        )
        for name, entry in _entries(wanted, section).items()
        if document is not None and existing[name] != _settings(kind, name, entry)
    ]
    if document is not None and problems:
        raise ConfigurationError(document.in_order(problems))


DIFFERENT_AUTHORITY: Final = (
    "is written differently and stays as it is; use it as it is written, or choose another name"
)
DIFFERENT_CHALLENGE: Final = (
    "is written differently and stays as it is, because other gateways use it; use it as it is "
    "written, or another challenge type"
)


def _settings(kind: type[AuthoritySettings] | None, name: str, entry: Plain) -> Settings:
    """Return settings from what is written."""
    written = entry if isinstance(entry, dict) else {}
    if kind is not None:
        return kind.model_validate({"name": name, **written}, by_alias=True)
    challenges = ChallengeSettings.model_validate({name: written}, by_alias=True)
    found: Settings = getattr(challenges, name.replace("-", "_"))
    return found
