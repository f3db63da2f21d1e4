"""Warnings about client CAs, their CRLs and known client certificates.

A client CA expires together with all certificates that it issued. With an expired CRL, ocserv
continues as before, and nginx refuses every client. Client certificates expire as well. A warning
names the known users who are locked out. A file that cannot be read causes a warning too.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from gatecert.certificate.certificate_names import name_text
from gatecert.client_ca.bundle import fingerprint
from gatecert.client_ca.crl_files import (
    covers_clients,
    current_crls,
    missing_crl,
    read_crls,
    signed_by,
    unusable_reason,
)
from gatecert.client_ca.lockout import (
    KnownUsers,
    count_and_names,
    locked_out_by_expiry,
    read_known_users,
)
from gatecert.errors import GatecertError
from gatecert.model import ClientAuthentication, ExpiryNotice
from gatecert.time_format import instant

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from gatecert.client_ca.bundle import Bundle
    from gatecert.client_ca.crl_files import CrlFile
    from gatecert.client_ca.lockout import KnownUser
    from gatecert.model import ClientCA, Target

THRESHOLDS: Final = (90, 30, 14, 7, 3, 1, 0)  # days before a client CA expires
DAY: Final = timedelta(days=1)
A_MOMENT: Final = timedelta(seconds=1)
USERS_SOON: Final = timedelta(days=30)
SHARE_OF_LIFE: Final = 5  # a CRL is normally renewed before a fifth of its lifetime is left
NEVER: Final = 1_000_000  # days; more than any threshold


class WarningKind(StrEnum):
    """The subject of a warning."""

    CLIENT_CA = "client-ca"
    CRL = "crl"
    CRL_UNUSABLE = "crl-unusable"
    USERS = "users"
    USERS_UNREADABLE = "users-unreadable"


@dataclass(frozen=True, slots=True)
class BundleWarning:
    """A warning for the operator.

    Attributes:
        kind: The subject.
        key: An identifier within the kind: a fingerprint, if there is one.
        days: Days before expiry; 0 if it has expired, or if the warning does not depend on time.
        words: What is wrong, and whom it locks out.
        fix: What to do.
    """

    kind: WarningKind
    key: str
    days: int
    words: str
    fix: str

    def __str__(self) -> str:
        return f"{self.words}; {self.fix}"


def read_warnings(target: Target, bundle: Bundle, *, now: datetime) -> tuple[BundleWarning, ...]:
    """Read the CRLs and known users of a gateway, and return the warnings."""
    settings = target.client_authentication or ClientAuthentication()
    known: KnownUsers | GatecertError
    crls: tuple[CrlFile, ...] | GatecertError
    try:
        known = read_known_users(settings.known_users)
    except GatecertError as error:
        known = error
    try:
        crls = read_crls(settings.crl_files)
    except GatecertError as error:
        crls = error
    return warnings_of(target.name, bundle, known, crls, now=now)


def warnings_of(
    gateway: str,
    bundle: Bundle,
    known: KnownUsers | GatecertError,
    crls: tuple[CrlFile, ...] | GatecertError,
    *,
    now: datetime,
) -> tuple[BundleWarning, ...]:
    """Return the warnings. Pure.

    Args:
        gateway: The gateway's name, for the fix.
        bundle: The client CAs in place.
        known: The known users, or why they cannot be read.
        crls: The CRLs, or why they cannot be read.
        now: Aware UTC.
    """
    users = known.users if isinstance(known, KnownUsers) else ()
    readable = crls if isinstance(crls, tuple) else ()
    return (
        *_client_cas(gateway, bundle, users, readable, now=now),
        *_crls(bundle, crls, now=now),
        *_users(known, now=now),
    )


def unreported(
    found: Iterable[BundleWarning], notices: Sequence[ExpiryNotice]
) -> tuple[BundleWarning, ...]:
    """Return the warnings that were not reported since their last threshold."""
    reported = {notice.fingerprint: notice.days for notice in notices}
    return tuple(each for each in found if each.days < reported.get(each.key, NEVER))


def expiry_notices(found: Iterable[BundleWarning]) -> tuple[ExpiryNotice, ...]:
    """Return what to store once all warnings are reported."""
    return tuple(ExpiryNotice(each.key, each.days) for each in found)


def _client_cas(
    gateway: str,
    bundle: Bundle,
    users: Sequence[KnownUser],
    crls: Sequence[CrlFile],
    *,
    now: datetime,
) -> Iterator[BundleWarning]:
    """Return a warning for each client CA that has expired or expires soon.

    Every certificate that it issued expires with it, and a successor has to reach every user.
    The first warning therefore comes three months before.
    """
    for client_ca in bundle.client_cas():
        end = client_ca.not_after
        passed = [days for days in THRESHOLDS if end - days * DAY <= now]
        if not passed:
            continue
        out = locked_out_by_expiry(
            users, bundle, max(end + A_MOMENT, now), crls, now=min(end - A_MOMENT, now)
        )
        whom = f"; it locks out {count_and_names(out)}" if out else ""
        yield BundleWarning(
            WarningKind.CLIENT_CA,
            client_ca.fingerprint,
            passed[-1],
            f"{_expiry(client_ca, now=now)}{whom}",
            "issue the users certificates of another client CA, and add that CA:"
            f" gatecert client-ca add {gateway} FILE",
        )


def _expiry(client_ca: ClientCA, *, now: datetime) -> str:
    """Say when a client CA expires, or that it has expired."""
    name, end = f"the client CA '{client_ca.subject}'", instant(client_ca.not_after)
    if client_ca.not_after <= now:
        return f"{name} expired on {end}: none of its client certificates is accepted"
    days = (client_ca.not_after - now) // DAY
    left = "less than a day" if days == 0 else f"{days} day{'' if days == 1 else 's'}"
    return f"{name} expires in {left}, on {end}"


def _crls(
    bundle: Bundle, crls: tuple[CrlFile, ...] | GatecertError, *, now: datetime
) -> Iterator[BundleWarning]:
    """Return warnings for CRLs that expire, are unusable or are missing."""
    if isinstance(crls, GatecertError):
        yield BundleWarning(
            WarningKind.CRL_UNUSABLE,
            "revocation lists",
            0,
            crls.message,
            crls.fix or "correct the file",
        )
        return
    used = [
        (issuer, each)
        for issuer in bundle.certificates
        for each in current_crls(issuer, crls, now=now)
    ]
    for issuer, each in used:
        end = each.crl.next_update_utc
        if end is None:
            continue
        begin = each.crl.last_update_utc
        if end - (end - begin) / SHARE_OF_LIFE > now:
            continue
        ended = end <= now
        words = (
            f"{each.path}: the CRL of '{name_text(issuer.subject)}'"
            f" {'expired' if ended else 'expires'} on {instant(end)}:"
            " with an expired CRL, ocserv continues as before and nginx refuses every client"
        )
        fix = "issue a new CRL: openssl ca -gencrl -out FILE"
        yield BundleWarning(
            WarningKind.CRL, f"{each.path} {instant(end)}", 0 if ended else 1, words, fix
        )
    if bundle.certificates:
        yield from _unusable_crls(bundle, crls, now=now)
    for issuer in bundle.certificates:
        if words := missing_crl(issuer, crls, now=now):
            yield BundleWarning(
                WarningKind.CRL_UNUSABLE,
                f"no list {fingerprint(issuer)}",
                0,
                words,
                "issue a CRL (openssl ca -gencrl -out FILE), and configure it in the server and in"
                " client_authentication.crl_files",
            )


def _unusable_crls(
    bundle: Bundle, crls: Sequence[CrlFile], *, now: datetime
) -> Iterator[BundleWarning]:
    """Return warnings for CRLs that can revoke no client certificate."""
    signed = {each.crl.issuer for issuer in bundle.certificates for each in signed_by(issuer, crls)}
    without_users = {
        issuer.subject
        for issuer in bundle.certificates
        if not any(issuer in bundle.issuers_of(each) for each in bundle.intermediates)
        and not any(covers_clients(each) for each in current_crls(issuer, crls, now=now))
    }
    for each in crls:
        name = name_text(each.crl.issuer)
        key = f"{each.path} {name}"
        if each.crl.issuer not in signed:
            yield BundleWarning(
                WarningKind.CRL_UNUSABLE,
                key,
                0,
                f"{each.path}: no client CA of the gateway signed the CRL of '{name}', so it"
                " revokes no client certificate",
                "use the CRL of a CA that gatecert client-ca list shows",
            )
            continue
        why = unusable_reason(each, now=now)
        if not why and not covers_clients(each) and each.crl.issuer in without_users:
            why = "it covers only CA certificates"
        if why:
            yield BundleWarning(
                WarningKind.CRL_UNUSABLE,
                key,
                0,
                f"{each.path}: the CRL of '{name}' is not used, so it revokes no client"
                f" certificate: {why}",
                "issue a complete CRL: openssl ca -gencrl -out FILE",
            )


def _users(known: KnownUsers | GatecertError, *, now: datetime) -> Iterator[BundleWarning]:
    """Return warnings for known users whose certificates expire or cannot be read."""
    if isinstance(known, GatecertError):
        fix = known.fix or "correct the directory"
        yield BundleWarning(WarningKind.USERS_UNREADABLE, "known users", 0, known.message, fix)
        return
    ended = tuple(user for user in known.users if user.not_after <= now)
    soon = tuple(user for user in known.users if now < user.not_after <= now + USERS_SOON)
    fix = "issue new certificates; remove users without access from known_users"
    if ended:
        words = f"expired, so their users are locked out: {count_and_names(ended)}"
        yield BundleWarning(WarningKind.USERS, f"ended {_digest(ended)}", 0, words, fix)
    if soon:
        words = f"expiring within {USERS_SOON.days} days: {count_and_names(soon)}"
        yield BundleWarning(
            WarningKind.USERS, f"ending {_digest(soon)}", USERS_SOON.days, words, fix
        )
    if known.unreadable:
        names = ", ".join(known.unreadable)
        words = f"no readable certificate in {names}, so gatecert cannot tell if it is accepted"
        fix = "put certificates (PEM or DER) into these files of known_users, or remove the files"
        yield BundleWarning(WarningKind.USERS_UNREADABLE, f"unreadable {names}", 0, words, fix)


def _digest(users: Iterable[KnownUser]) -> str:
    """Return an identifier of a group of users."""
    return hashlib.sha256("\n".join(user.name for user in users).encode()).hexdigest()[:16]
