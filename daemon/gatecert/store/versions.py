"""Keys with their certificates: ``versions/<id>/{privkey,cert,chain,fullchain}.pem`` + meta.json.

An id is ``000012-20261123T081500Z``: a number, always one more than the highest there is, then the
time for people. Ids thus sort by age also when the clock was set back. A version appears under its
id only when it is complete and durable, and is never changed afterwards.

Reading is forgiving: a version with a missing, empty or torn PEM file is left out and said in the
log once; one that lost its ``meta.json`` is still a version. ``root.pem`` is kept where the root
is known, for those who have to check the chain; servers never send it.

A gateway with keys of two algorithms has the files of the other one beside them in the same version
(``second-privkey.pem`` …), so that both are swapped by the same rename.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from gatecert.errors import StorageError
from gatecert.model import Origin, Version
from gatecert.store import durable, json_record, pem_files
from gatecert.store.codec import DamagedRecordError, encode
from gatecert.store.layout import (
    GROUP_DIRECTORY,
    GROUP_FILE,
    PRIVATE_DIRECTORY,
    PRIVATE_FILE,
)

if TYPE_CHECKING:
    from pathlib import Path

    from gatecert.model import IssuedChain
    from gatecert.store.layout import Layout

logger = logging.getLogger(__name__)

SECOND = "second-"

_ID = re.compile(r"(?P<number>[0-9]{6,})-[0-9]{8}T[0-9]{6}Z")


@dataclass(frozen=True, slots=True)
class _VersionRecord:
    """What stands in a version's ``meta.json``."""

    origin: Origin
    created: datetime
    authority: str = ""
    order_url: str = ""
    notes: tuple[str, ...] = ()


class Versions:
    """The versions of every gateway below one state directory."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._said: set[Path] = set()

    def add_version(
        self, gateway: str, issued: IssuedChain, *, now: datetime, key_group: str | None
    ) -> Version:
        """Write a version in full and durably."""
        parent = self._layout.versions(gateway)
        self._layout.make(parent)
        if key_group is not None:
            self._layout.admit(gateway, key_group)
        created, second = now.astimezone(UTC), issued.second
        number = max((_number(name) for name in _names(parent)), default=0) + 1
        directory = parent / f"{number:06d}-{created:%Y%m%dT%H%M%SZ}"
        about = _VersionRecord(
            issued.origin, created, issued.authority, issued.order_url, issued.notes
        )
        durable.write_directory(
            directory,
            {
                **_pem_files(issued),
                **(_pem_files(second, SECOND) if second else {}),
                "meta.json": encode(about),
            },
            file_mode=PRIVATE_FILE if key_group is None else GROUP_FILE,
            mode=PRIVATE_DIRECTORY if key_group is None else GROUP_DIRECTORY,
            group=key_group,
        )
        return Version(
            id=directory.name,
            directory=directory,
            certificate=pem_files.joined(issued.certificate),
            chain=pem_files.joined(issued.chain),
            origin=issued.origin,
            authority=issued.authority,
            order_url=issued.order_url,
            created=created,
            second_certificate=pem_files.joined(second.certificate) if second else b"",
            second_chain=pem_files.joined(second.chain) if second else b"",
        )

    def versions(self, gateway: str) -> tuple[Version, ...]:
        """All readable versions, newest first."""
        parent = self._layout.versions(gateway)
        ids = sorted(_names(parent), key=_number, reverse=True)
        found = (self._read(parent / version_id) for version_id in ids)
        return tuple(version for version in found if version is not None)

    def private_key(self, version: Version, *, second: bool = False) -> bytes:
        """The private key of a version, PEM."""
        try:
            return _pem_file(version.directory, "privkey", SECOND if second else "")
        except DamagedRecordError as error:
            raise StorageError(
                f"version {version.id} in {version.directory.parent} has lost its private key:"
                f" {error}",
                fix="nothing: a version that is whole is used or made instead",
            ) from error

    def remove_version(self, version: Version) -> None:
        """Delete a version for good."""
        if version.directory.parent.parent.parent != self._layout.gateways:
            raise ValueError(f"{version.directory} is not a version of this state directory")
        durable.remove_tree(version.directory)

    def _read(self, directory: Path) -> Version | None:
        try:
            certificate, chain = _read_pem(directory)
            second_certificate, second_chain = b"", b""
            if (directory / f"{SECOND}cert.pem").exists():
                second_certificate, second_chain = _read_pem(directory, SECOND)
        except DamagedRecordError as error:
            if directory not in self._said:
                self._said.add(directory)
                logger.warning("damaged version=%s why=%r read=skipped", directory, str(error))
            return None
        about = json_record.read_record(directory / "meta.json", _VersionRecord)
        return Version(
            id=directory.name,
            directory=directory,
            certificate=certificate,
            chain=chain,
            origin=about.origin if about else None,
            authority=about.authority if about else "",
            order_url=about.order_url if about else "",
            created=about.created if about else None,
            second_certificate=second_certificate,
            second_chain=second_chain,
        )


def _names(parent: Path) -> list[str]:
    return [entry.name for entry in durable.subdirectories(parent) if _ID.fullmatch(entry.name)]


def _number(version_id: str) -> int:
    return int(version_id.partition("-")[0])


def _pem_files(issued: IssuedChain, prefix: str = "") -> dict[str, bytes]:
    files = {
        "privkey": pem_files.joined(issued.private_key),
        "cert": pem_files.joined(issued.certificate),
        "chain": pem_files.joined(issued.chain),
        "fullchain": pem_files.joined(issued.certificate, issued.chain),
    }
    if issued.root:
        files["root"] = pem_files.joined(issued.root)
    return {f"{prefix}{name}.pem": data for name, data in files.items()}


def _read_pem(directory: Path, prefix: str = "") -> tuple[bytes, bytes]:
    """Certificate and chain of a version whose files are all there and agree.

    Raises:
        DamagedRecordError: They are not, or do not.
    """
    _pem_file(directory, "privkey", prefix)
    certificate = _pem_file(directory, "cert", prefix)
    chain = _pem_file(directory, "chain", prefix)
    if _pem_file(directory, "fullchain", prefix).split() != (certificate + b"\n" + chain).split():
        what = f"{prefix}fullchain.pem is not {prefix}cert.pem followed by {prefix}chain.pem"
        raise DamagedRecordError(what)
    return certificate, chain


def _pem_file(directory: Path, name: str, prefix: str = "") -> bytes:
    data = json_record.read_file(directory / f"{prefix}{name}.pem")
    if data is None:
        raise DamagedRecordError(f"{prefix}{name}.pem is missing")
    match name:
        case "privkey":
            whole = pem_files.has_private_key(data)
        case "chain":  # a certificate that needs no intermediates has an empty one
            whole = not data.strip() or pem_files.has_certificates(data)
        case _:
            whole = pem_files.has_certificates(data)
    if not whole:
        raise DamagedRecordError(f"{prefix}{name}.pem is empty or torn")
    return data
