"""Known client certificates, and which of them a change or an expiry locks out.

The directory has one file for each user, ``*.pem``, ``*.crt`` or ``*.cer``, PEM or DER, with the
client certificate first. Other files, and private keys in the same file, are ignored.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from cryptography.x509 import Certificate

from gatecert import regular_files
from gatecert.certificate.pem import LARGEST_CHAIN, find_readable, parse
from gatecert.client_ca.user_check import check_user, find_user
from gatecert.errors import CertificateError, StorageError
from gatecert.store import durable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime
    from pathlib import Path

    from gatecert.client_ca.bundle import Bundle
    from gatecert.client_ca.crl_files import CrlFile
    from gatecert.client_ca.user_check import UserCheckResult

SUFFIXES: Final = (".pem", ".crt", ".cer")
NAMES_SHOWN: Final = 10


@dataclass(frozen=True, slots=True)
class KnownUser:
    """A file of the directory.

    Attributes:
        name: The name of the file.
        certificates: The client certificate and its intermediates.
        undecided: Whether gatecert cannot check the certificate.
    """

    name: str
    certificates: tuple[Certificate, ...]
    undecided: bool = False

    def __str__(self) -> str:
        return f"{self.name}, which gatecert cannot check" if self.undecided else self.name

    @property
    def not_after(self) -> datetime:
        """The expiry of the client certificate."""
        return find_user(self.certificates).not_valid_after_utc


@dataclass(frozen=True, slots=True)
class KnownUsers:
    """The contents of the directory.

    Attributes:
        users: Files with certificates.
        unreadable: Names of files without a readable certificate.
    """

    users: tuple[KnownUser, ...] = ()
    unreadable: tuple[str, ...] = ()


def read_known_users(directory: Path | None) -> KnownUsers:
    """Read the directory; without one, no users are known.

    Raises:
        StorageError: The directory cannot be read.
    """
    if directory is None:
        return KnownUsers()
    try:
        with durable.step("read", directory):
            paths = sorted(path for path in directory.iterdir() if path.suffix.lower() in SUFFIXES)
    except StorageError as error:
        raise StorageError(
            f"{error.message}, so gatecert cannot tell which users a change would lock out",
            fix=f"{error.fix}; or correct client_authentication.known_users",
        ) from error
    users: list[KnownUser] = []
    unreadable: list[str] = []
    for path in paths:
        certificates = _certificates(path)
        if certificates:
            users.append(KnownUser(path.name, certificates))
        else:
            unreadable.append(path.name)
    return KnownUsers(tuple(users), tuple(unreadable))


def locked_out(
    users: Iterable[KnownUser],
    before: Bundle,
    after: Bundle,
    crls: Sequence[CrlFile] = (),
    *,
    now: datetime,
) -> tuple[KnownUser, ...]:
    """Return the users whom one bundle accepts and another does not.

    A certificate that gatecert cannot check counts as accepted.
    """
    return tuple(
        replace(user, undecided=old.undecided)
        for user in users
        if _may_be_accepted(old := check_user(user.certificates, before, crls, now=now))
        and not _may_be_accepted(check_user(user.certificates, after, crls, now=now))
    )


def locked_out_by_expiry(
    users: Iterable[KnownUser],
    bundle: Bundle,
    at: datetime,
    crls: Sequence[CrlFile] = (),
    *,
    now: datetime,
) -> tuple[KnownUser, ...]:
    """Return the users who are accepted now and not at a later time.

    Users whose own certificates have expired by then are left out.
    """
    return tuple(
        replace(user, undecided=old.undecided)
        for user in users
        if user.not_after > at
        and _may_be_accepted(old := check_user(user.certificates, bundle, crls, now=now))
        and not _may_be_accepted(check_user(user.certificates, bundle, crls, now=at))
    )


def count_and_names(users: Sequence[KnownUser]) -> str:
    """Return the number of users and the first names."""
    names = ", ".join(map(str, users[:NAMES_SHOWN]))
    more = f" and {len(users) - NAMES_SHOWN} more" if len(users) > NAMES_SHOWN else ""
    one = len(users) == 1
    return f"{len(users)} known client {'certificate' if one else 'certificates'} ({names}{more})"


def _may_be_accepted(result: UserCheckResult) -> bool:
    return result.accepted or result.undecided


def _certificates(path: Path) -> tuple[Certificate, ...]:
    """Return the certificates of one file; none if it cannot be read."""
    try:
        data = regular_files.read(path, LARGEST_CHAIN)
    except OSError:
        return ()
    found = tuple(find_readable([data]))
    if not found:
        with suppress(CertificateError):
            return (parse(data),)
    return found
