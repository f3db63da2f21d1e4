"""The check whether a certificate that was found can be adopted, and its names. Pure.

A certificate is adopted if gatecert would accept it from the CA: it belongs to its key, is valid
now, and its chain is sound. Its names become those of the gateway, so that no order is due.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256

from gatecert.adoption.found import FoundCertificate, Refusal
from gatecert.certificate import key
from gatecert.certificate.certificate_names import identifiers_of
from gatecert.certificate.chain import CheckedChain, check_issued, pem_of
from gatecert.certificate.leaf import find_leaf
from gatecert.certificate.pem import split_pem
from gatecert.config.names import SAFE_NAME, gateway_host_name
from gatecert.config.values import BadValueError
from gatecert.errors import CertificateError, clean
from gatecert.model import Identifier, IdentifierType, KeyType

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from cryptography.x509 import Certificate

WILDCARD: Final = re.compile(r"^(\*|_|wildcard_)\.")
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._-]+")
LONGEST_NAME: Final = 63
_PLAIN_KEY: Final = re.compile(
    rb"\s*-----BEGIN (?P<kind>(EC |RSA )?PRIVATE KEY)-----[A-Za-z0-9+/=\s]+"
    rb"-----END (?P=kind)-----\s*"
)
"""A key alone, which is kept as it is, so that copies of it stay the same."""


@dataclass(frozen=True, slots=True)
class Adoptable:
    """A certificate that can be adopted.

    Attributes:
        private_key: PEM.
        key_type: Type of its key; None for one that gatecert does not make.
        algorithm: ``ecdsa`` or ``rsa``.
        identifiers: Its names; the hostname first.
        fingerprint: SHA-256 of its DER, lower-case hexadecimal.
    """

    found: FoundCertificate
    private_key: bytes = field(repr=False)
    key_type: KeyType | None
    algorithm: str
    chain: CheckedChain
    identifiers: tuple[Identifier, ...]
    not_after: datetime
    fingerprint: str

    @property
    def hostname(self) -> str:
        """The name that clients connect to."""
        return self.identifiers[0].value

    @property
    def other_names(self) -> tuple[str, ...]:
        """The further names."""
        return tuple(each.value for each in self.identifiers[1:])

    @property
    def differing_names(self) -> str:
        """The names that differ from those of its settings, in words; empty if none do."""
        wanted = {name.lower().rstrip(".") for name in self.found.names}
        there = {each.value for each in self.identifiers}
        if not wanted or wanted == there:
            return ""
        parts = [
            f"{what} {', '.join(map(clean, sorted(names)))}"
            for what, names in (("lacks", wanted - there), ("also has", there - wanted))
            if names
        ]
        return f"the certificate {' and '.join(parts)}, unlike its settings; its names are used"


def judge(
    found: FoundCertificate, client: str, *, now: datetime, roots: Sequence[Certificate]
) -> Adoptable | Refusal:
    """Check a certificate.

    Args:
        found: The certificate.
        client: The client that renews it, for messages.
        now: Aware UTC.
        roots: The roots that this machine trusts.
    """
    try:
        return _checked(found, now, roots)
    except CertificateError as error:
        return Refusal(clean(found.name), error.message, _fix(found, client))
    except BadValueError as error:
        return Refusal(clean(found.name), f"its certificate's name {error}")


def _checked(
    found: FoundCertificate, now: datetime, roots: Sequence[Certificate]
) -> Adoptable | Refusal:
    loaded = key.load(found.private_key)
    private_key = key.to_pem(loaded)
    certificates = list(dict.fromkeys(split_pem(found.fullchain, comments=True)))
    leaf = find_leaf(certificates, private_key)
    identifiers = _ordered(identifiers_of(leaf), found)
    if isinstance(identifiers, Refusal):
        return identifiers
    chain = check_issued(
        private_key,
        pem_of(certificates),
        identifiers,
        now=now,
        trusted_roots=None,
        system_roots=roots,
    )
    kind = key.kind(loaded)
    return Adoptable(
        found,
        found.private_key if _PLAIN_KEY.fullmatch(found.private_key) else private_key,
        kind,
        "rsa" if isinstance(loaded, RSAPrivateKey) else "ecdsa",
        chain,
        identifiers,
        leaf.not_valid_after_utc,
        leaf.fingerprint(SHA256()).hex(),
    )


def _ordered(
    identifiers: Sequence[Identifier], found: FoundCertificate
) -> tuple[Identifier, ...] | Refusal:
    """Return the names, the one that clients connect to first."""
    names = [each for each in identifiers if each.type is IdentifierType.DNS]
    for each in names:
        gateway_host_name(each.value)
    if not names:
        there = "only IP addresses" if identifiers else "no name"
        return Refusal(
            clean(found.name),
            f"its certificate has {there} in subjectAltName, and a gateway needs a DNS name",
            "add the gateway by hand, with the addresses in alternative_names",
        )
    wanted = [found.name.lower(), *(name.lower() for name in found.names)]
    preferred = [each for name in wanted for each in names if each.value == name]
    plain = [each for each in names if not each.is_wildcard]
    first = (preferred or plain or names)[0]
    return (first, *(each for each in identifiers if each != first))


def _fix(found: FoundCertificate, client: str) -> str:
    """Return what to do about a certificate that breaks a rule."""
    if client == "certbot":
        name = clean(found.name)
        return (
            f"renew it first (certbot renew --cert-name {name}), or remove it if it is not needed"
            f" (certbot delete --cert-name {name})"
        )
    return f"renew it with {client} first and adopt again, or enrol it anew: gatecert init"


def gateway_name(adoptable: Adoptable, taken: Collection[str], client_suffix: str = "_ecc") -> str:
    """Return a name for the gateway that is a valid directory name and not taken."""
    name = WILDCARD.sub("wildcard.", adoptable.found.name.removesuffix(client_suffix))
    name = _UNSAFE.sub("-", name).lstrip("._-")[:LONGEST_NAME].rstrip("._-")
    name = re.sub(r"\.{2,}", ".", name)
    if not re.fullmatch(SAFE_NAME, name):
        name = "gateway"
    number, chosen = 1, name
    while chosen in taken:
        number += 1
        chosen = f"{name[: LONGEST_NAME - 4]}-{number}"
    return chosen
