"""Certificates with their keys: ``versions/<id>/{privkey,cert,chain,fullchain}.pem`` + meta.json.

An id is ``000012-20261123T081500Z``: a number, one more than the highest so far, and the time for
people. Ids sort by age even after the clock was set back. A version appears under its id when it is
complete and durable, and its certificate never changes afterwards.

Reading skips a version with a missing, empty or truncated PEM file and logs it once; a version
without ``meta.json`` remains usable. ``root.pem`` is stored where the root is known, to check the
chain; servers never send it.

The second certificate of a gateway with keys of two algorithms is in the same version
(``second-privkey.pem`` …), so that one rename replaces both.
"""

from __future__ import annotations

import logging
import re
import stat
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from gatecert.errors import StorageError
from gatecert.model import IssuedChain, Origin, Version
from gatecert.store import damaged_files, durable, json_record, pem_files
from gatecert.store.codec import encode
from gatecert.store.damaged_files import DamagedRecordError
from gatecert.store.kept_files import KeptFiles
from gatecert.store.layout import (
    GROUP_DIRECTORY,
    GROUP_FILE,
    PRIVATE_DIRECTORY,
    PRIVATE_FILE,
    StateFiles,
)

if TYPE_CHECKING:
    from pathlib import Path

logger = logging.getLogger(__name__)

SECOND = "second-"
_PEM_FILES = ("privkey.pem", "cert.pem", "chain.pem", "fullchain.pem")
FILES = (*_PEM_FILES, *(f"{SECOND}{name}" for name in _PEM_FILES), "meta.json")

_ID = re.compile(r"(?P<number>[0-9]{6,})-[0-9]{8}T[0-9]{6}Z")


@dataclass(frozen=True, slots=True)
class _VersionRecord:
    """The contents of a version's ``meta.json``."""

    origin: Origin
    created: datetime
    authority: str = ""
    order_url: str = ""
    notes: tuple[str, ...] = ()
    generation: int = 0
    is_urgent: bool = False


class VersionFiles(StateFiles):
    """The store of certificates with their keys."""

    def __init__(self, state_directory: Path) -> None:
        super().__init__(state_directory)
        self._versions: dict[str, KeptFiles[Version]] = {}

    def add_version(
        self, gateway: str, issued: IssuedChain, *, now: datetime, key_group: str | None = None
    ) -> Version:
        """Write a version durably; it appears when it is complete."""
        return self.add_generation(gateway, issued, 0, now=now, key_group=key_group)

    def add_generation(
        self,
        gateway: str,
        issued: IssuedChain,
        generation: int,
        *,
        now: datetime,
        key_group: str | None = None,
    ) -> Version:
        """Write a version that all hosts of a cluster install; see `Version.generation`."""
        parent = self._layout.versions(gateway)
        self._layout.make(parent)
        if key_group is not None:
            self._layout.grant_group_access(gateway, key_group)
        created, second = now.astimezone(UTC), issued.second
        number = max((_number(name) for name in _names(parent)), default=0) + 1
        directory = parent / f"{number:06d}-{created:%Y%m%dT%H%M%SZ}"
        record = _VersionRecord(
            issued.origin,
            created,
            issued.authority,
            issued.order_url,
            issued.notes,
            generation,
            issued.is_urgent,
        )
        durable.write_directory(
            directory,
            {
                **_pem_files(issued),
                **(_pem_files(second, SECOND) if second else {}),
                "meta.json": encode(record),
            },
            file_mode=PRIVATE_FILE if key_group is None else GROUP_FILE,
            mode=PRIVATE_DIRECTORY if key_group is None else GROUP_DIRECTORY,
            group=key_group,
        )
        return Version(
            id=directory.name,
            gateway=gateway,
            certificate=pem_files.joined(issued.certificate),
            chain=pem_files.joined(issued.chain),
            origin=issued.origin,
            authority=issued.authority,
            order_url=issued.order_url,
            created=created,
            second_certificate=pem_files.joined(second.certificate) if second else b"",
            second_chain=pem_files.joined(second.chain) if second else b"",
            generation=generation,
            is_urgent=issued.is_urgent,
        )

    def versions(self, gateway: str) -> tuple[Version, ...]:
        """Return the intact versions, newest first.

        A version whose files are unchanged, key included, is the same object as before.
        """
        parent = self._layout.versions(gateway)
        ids = sorted(_names(parent), key=_number, reverse=True)
        kept, directories = self._kept_of(gateway), [parent / version_id for version_id in ids]
        kept.keep_only(directories)
        read = partial(self._read_version, gateway)
        found = (kept.get(each, partial(read, each), FILES) for each in directories)
        return tuple(version for version in found if version is not None)

    def private_key(self, version: Version, *, second: bool = False) -> bytes:
        """Return the private key of a version, PEM."""
        directory = self.version_directory(version)
        try:
            return _pem_file(directory, "privkey", SECOND if second else "")
        except DamagedRecordError as error:
            raise StorageError(
                f"version {version.id} in {directory.parent} has no usable private key: {error}",
                fix="no action needed: gatecert uses or makes an intact version instead",
            ) from error

    def stored_root(self, version: Version, *, second: bool = False) -> bytes:
        """Return the root stored with a version, PEM; empty if it is missing or damaged."""
        path = self.version_directory(version) / f"{SECOND if second else ''}root.pem"
        try:
            return damaged_files.read_file(path) or b""
        except (DamagedRecordError, StorageError) as error:
            logger.warning("damaged path=%s why=%r read=as-missing", path, str(error))
            return b""

    def issued(self, version: Version) -> IssuedChain:
        """Return a version as it was issued.

        Raises:
            StorageError: It has no usable private key.
        """
        second = None
        origin = version.origin or Origin.AUTHORITY
        if version.second_certificate:
            second = IssuedChain(
                self.private_key(version, second=True),
                version.second_certificate,
                version.second_chain,
                origin,
                root=self.stored_root(version, second=True),
            )
        return IssuedChain(
            self.private_key(version),
            version.certificate,
            version.chain,
            origin,
            root=self.stored_root(version),
            authority=version.authority,
            order_url=version.order_url,
            second=second,
            is_urgent=version.is_urgent,
        )

    def number_version(self, version: Version, generation: int) -> None:
        """Note the generation of a version that hosts share from now on, or zero if none does."""
        path = self.version_directory(version) / "meta.json"
        record = json_record.read_record(path, _VersionRecord)
        if record is None or record.generation == generation:
            return
        with durable.step("look at", path):
            known = path.stat()
        durable.write_file(
            path,
            encode(replace(record, generation=generation)),
            mode=stat.S_IMODE(known.st_mode),
            group=str(known.st_gid),
        )

    def remove_version(self, version: Version) -> None:
        """Delete a version."""
        durable.remove_tree(self.version_directory(version))

    def version_directory(self, version: Version) -> Path:
        """Return the directory of a version."""
        return self._layout.version(version.gateway, version.id)

    def _kept_of(self, gateway: str) -> KeptFiles[Version]:
        return self._versions.setdefault(gateway, KeptFiles())

    def _read_version(self, gateway: str, directory: Path) -> Version | None:
        try:
            certificate, chain = _read_pem(directory)
            second_certificate, second_chain = b"", b""
            if (directory / f"{SECOND}cert.pem").exists():
                second_certificate, second_chain = _read_pem(directory, SECOND)
        except DamagedRecordError as error:
            if directory not in self._reported:
                self._reported.add(directory)
                logger.warning("damaged version=%s why=%r read=skipped", directory, str(error))
            return None
        record = json_record.read_record(directory / "meta.json", _VersionRecord)
        return Version(
            id=directory.name,
            gateway=gateway,
            certificate=certificate,
            chain=chain,
            origin=record.origin if record else None,
            authority=record.authority if record else "",
            order_url=record.order_url if record else "",
            created=record.created if record else None,
            second_certificate=second_certificate,
            second_chain=second_chain,
            generation=record.generation if record else 0,
            is_urgent=record.is_urgent if record else False,
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
    """Return certificate and chain of a version.

    Raises:
        DamagedRecordError: A file is missing or damaged, or they disagree.
    """
    _pem_file(directory, "privkey", prefix)
    certificate = _pem_file(directory, "cert", prefix)
    chain = _pem_file(directory, "chain", prefix)
    if _pem_file(directory, "fullchain", prefix).split() != (certificate + b"\n" + chain).split():
        what = f"{prefix}fullchain.pem is not {prefix}cert.pem followed by {prefix}chain.pem"
        raise DamagedRecordError(what)
    return certificate, chain


def _pem_file(directory: Path, name: str, prefix: str = "") -> bytes:
    data = damaged_files.read_file(directory / f"{prefix}{name}.pem")
    if data is None:
        raise DamagedRecordError(f"{prefix}{name}.pem is missing")
    match name:
        case "privkey":
            intact = pem_files.has_private_key(data)
        case "chain":  # empty without intermediates
            intact = not data.strip() or pem_files.has_certificates(data)
        case _:
            intact = pem_files.has_certificates(data)
    if not intact:
        raise DamagedRecordError(f"{prefix}{name}.pem is empty or truncated")
    return data
