"""The certificates of users that are kept in a folder, to see whom a change locks out.

One file a user, ``*.pem``, ``*.crt`` or ``*.cer``, PEM or DER, his own certificate first. Other
files are passed over, and so is a private key beside a certificate.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from cryptography.x509 import Certificate

from gatecert.certificate.pem import LARGEST_CHAIN, find_readable, parse
from gatecert.client_ca.user_check import check_user, find_user
from gatecert.errors import CertificateError, StorageError
from gatecert.store import durable
from gatecert.store.codec import DamagedRecordError
from gatecert.store.json_record import read_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime
    from pathlib import Path

    from gatecert.client_ca.bundle import Bundle
    from gatecert.client_ca.crl_files import CrlFile
    from gatecert.client_ca.user_check import UserCheckResult

ENDINGS: Final = (".pem", ".crt", ".cer")
NAMES_SHOWN: Final = 10


@dataclass(frozen=True, slots=True)
class KnownUser:
    """One file of the folder.

    Attributes:
        name: The file's.
        certificates: The user's own, and whatever stands with it.
        undecided: Whether this program cannot tell if it is accepted.
    """

    name: str
    certificates: tuple[Certificate, ...]
    undecided: bool = False

    def __str__(self) -> str:
        return f"{self.name}, which cannot be judged here" if self.undecided else self.name

    @property
    def not_after(self) -> datetime:
        """When the user's own certificate ends."""
        return find_user(self.certificates).not_valid_after_utc


@dataclass(frozen=True, slots=True)
class KnownUsers:
    """What is in the folder.

    Attributes:
        unreadable: Names of files in which no certificate can be read.
    """

    users: tuple[KnownUser, ...] = ()
    unreadable: tuple[str, ...] = ()


def read_known_users(directory: Path | None) -> KnownUsers:
    """Read the folder; without one nobody is known.

    Raises:
        StorageError: It cannot be read.
    """
    if directory is None:
        return KnownUsers()
    try:
        with durable.step("read", directory):
            paths = sorted(path for path in directory.iterdir() if path.suffix.lower() in ENDINGS)
    except StorageError as error:
        raise StorageError(
            f"{error.message}, so nobody can tell which users a change would lock out",
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
    lists: Sequence[CrlFile] = (),
    *,
    now: datetime,
) -> tuple[KnownUser, ...]:
    """Those who are accepted by one bundle and not by another; in doubt they are."""
    return tuple(
        replace(user, undecided=old.undecided)
        for user in users
        if _may_enter(old := check_user(user.certificates, before, lists, now=now))
        and not _may_enter(check_user(user.certificates, after, lists, now=now))
    )


def locked_out_by_expiry(
    users: Iterable[KnownUser],
    bundle: Bundle,
    at: datetime,
    lists: Sequence[CrlFile] = (),
    *,
    now: datetime,
) -> tuple[KnownUser, ...]:
    """Those who are accepted now and not at a later time, though their own certificates last."""
    return tuple(
        replace(user, undecided=old.undecided)
        for user in users
        if user.not_after > at
        and _may_enter(old := check_user(user.certificates, bundle, lists, now=now))
        and not _may_enter(check_user(user.certificates, bundle, lists, now=at))
    )


def count_and_names(users: Sequence[KnownUser]) -> str:
    """How many, and who."""
    names = ", ".join(map(str, users[:NAMES_SHOWN]))
    more = f" and {len(users) - NAMES_SHOWN} more" if len(users) > NAMES_SHOWN else ""
    one = len(users) == 1
    return f"{len(users)} known user {'certificate' if one else 'certificates'} ({names}{more})"


def _may_enter(judgement: UserCheckResult) -> bool:
    return judgement.accepted or judgement.undecided


def _certificates(path: Path) -> tuple[Certificate, ...]:
    """Return the certificates of one file; none if it cannot be read."""
    try:
        data = read_file(path, largest=LARGEST_CHAIN)
    except (DamagedRecordError, StorageError):
        return ()
    if data is None:
        return ()
    found = tuple(find_readable([data]))
    if not found:
        with suppress(CertificateError):
            return (parse(data),)
    return found
