"""Target: the configuration of one gateway, checked and complete."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from gatecert.model.identifier import Identifier

if TYPE_CHECKING:
    from gatecert.model.certificate import CertificateSummary


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A host (name or address, without brackets) and a TCP or UDP port.

    Attributes:
        starttls: The protocol whose STARTTLS precedes the TLS handshake; empty for none.
        proxy_protocol: The version of the PROXY protocol that the listener expects; 0 for none.
        server_name: The SNI to send instead of the gateway's hostname; empty for the hostname.
        address: The one of the host's addresses to use; empty for any.
    """

    host: str
    port: int
    starttls: str = ""
    proxy_protocol: int = 0
    server_name: str = ""
    address: str = ""

    def __str__(self) -> str:
        place = f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
        return f"{place} ({self.address})" if self.address else place


def repr_of_listener(listener: Endpoint) -> str:
    """Return a listener with its protocol options, on one line."""
    how = (
        ("starttls", listener.starttls),
        ("proxy_protocol", listener.proxy_protocol),
        ("server_name", listener.server_name),
    )
    return " ".join([str(listener), *(f"{name}={value}" for name, value in how if value)])


class Mode(StrEnum):
    """The source of a gateway's certificate."""

    AUTOMATIC = "automatic"
    CUSTOM = "custom"


class KeyType(StrEnum):
    """Certificate key types that public CAs accept."""

    ECDSA_P256 = "ecdsa-p256"
    ECDSA_P384 = "ecdsa-p384"
    RSA_2048 = "rsa-2048"
    RSA_3072 = "rsa-3072"
    RSA_4096 = "rsa-4096"

    @property
    def algorithm(self) -> str:
        """``ecdsa`` or ``rsa``."""
        return self.value.partition("-")[0]


@dataclass(frozen=True, slots=True)
class KeyPolicy:
    """The key of a certificate, and whether a renewal reuses it.

    Attributes:
        second: The key type of a second certificate of the other algorithm; None for none.
    """

    type: KeyType = KeyType.ECDSA_P256
    reuse: bool = False
    second: KeyType | None = None

    def is_satisfied_by(self, summary: CertificateSummary) -> bool:
        """Check that a certificate has the configured key algorithms."""
        if self.second is None:
            return True
        return summary.algorithms == (self.type.algorithm, self.second.algorithm)


class FileContents(StrEnum):
    """The contents of a copied file; PEM unless stated otherwise."""

    PRIVKEY = "privkey"
    CERT = "cert"
    CHAIN = "chain"
    FULLCHAIN = "fullchain"
    COMBINED = "combined"  # fullchain, then privkey
    CERT_DER = "cert-der"
    PRIVKEY_DER = "privkey-der"  # PKCS #8
    PKCS12 = "pkcs12"  # privkey, cert and chain


@dataclass(frozen=True, slots=True)
class FileCopy:
    """A file that a server requires, in addition to ``live``.

    Attributes:
        mode: Permission bits, as for ``os.chmod``.
        password_file: File with the password of a PKCS #12 file; None otherwise.
    """

    path: Path
    contents: FileContents
    owner: str | None = None
    group: str | None = None
    mode: int = 0o600
    password_file: Path | None = None


@dataclass(frozen=True, slots=True)
class InstallPlan:
    """The deployment and verification of a certificate.

    Attributes:
        reload: The reload command as argv; empty if the server notices changes by itself.
        reload_timeout: After this the command's process group is killed.
        verify: Every listener that must serve the certificate; empty for none.
        verify_command: A command whose exit status tells whether the certificate is served, for
            protocols that do not begin with TLS; empty for none.
        verify_timeout: How long the listeners may take to serve it.
        watch: How often a verified certificate is checked again.
        copy_to: Further files to write.
        key_group: Group that may read private keys (then 0640, directories 0750).
        keep_versions: Number of versions kept on disk, the live one included.
    """

    reload: tuple[str, ...] = ()
    reload_timeout: timedelta = timedelta(seconds=30)
    verify: tuple[Endpoint, ...] = ()
    verify_command: tuple[str, ...] = ()
    verify_timeout: timedelta = timedelta(seconds=15)
    watch: timedelta = timedelta(minutes=5)
    copy_to: tuple[FileCopy, ...] = ()
    key_group: str | None = None
    keep_versions: int = 5

    @property
    def proofs(self) -> tuple[str, ...]:
        """The listeners and the command that verify the certificate, as stored."""
        return (*map(repr_of_listener, self.verify), *self.verify_command)

    @property
    def is_provable(self) -> bool:
        """True if a listener or a command can verify the certificate."""
        return bool(self.verify or self.verify_command)


@dataclass(frozen=True, slots=True)
class RenewalPolicy:
    """The renewal of a certificate.

    Attributes:
        renewal_info: Whether to use ARI (RFC 9773).
        revocation_lists: Whether to check the CA's CRLs.
        remaining: Fraction of the lifetime left at which to renew; None means one third, or one
            half where the lifetime is under ten days.
    """

    renewal_info: bool = True
    remaining: float | None = None
    revocation_lists: bool = True


@dataclass(frozen=True, slots=True)
class Member:
    """One host of a pair that shares a hostname.

    Attributes:
        name: Its key in the configuration.
        common_name: The host's own name (A-labels).
    """

    name: str
    common_name: str


@dataclass(frozen=True, slots=True)
class ClientAuthentication:
    """The client certificates that a gateway requires.

    Attributes:
        crl_files: CRLs of the client CAs, PEM.
        known_users: Directory of user certificates, None where there is none.
    """

    crl_files: tuple[Path, ...] = ()
    known_users: Path | None = None


@dataclass(frozen=True, slots=True)
class ClientProfile:
    """The entry of a gateway in VPN client profiles.

    Attributes:
        display_name: The name shown to users; None means the gateway's name.
        port: The port that clients connect to.
    """

    display_name: str | None = None
    port: int = 443


@dataclass(frozen=True, slots=True)
class ChallengeChoice:
    """The challenge types to try for one name.

    Attributes:
        name: As in the certificate.
        kinds: Challenge types in the order to try.
        reason: Why this is not the configured order, for the operator; empty if it is.
    """

    name: str
    kinds: tuple[str, ...]
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Target:
    """One gateway, as the pipeline sees it.

    Attributes:
        identifiers: The hostname first, then (custom mode) this member's own name and the
            alternative names, without repetition.
        display_name: The hostname for people: U-labels, and A-labels where they differ.
        region: The configured region, lower case; empty means derived from the hostname.
        addresses: Addresses the names must resolve to, as canonical text; empty means detected.
        authorities: Names of the authorities to try, in order.
        challenges: Challenge types to try, in order (``http-01`` …).
        choices: The challenge types to try now, by name; without an entry, all in order.
        subject: Further attributes of a CSR's subject (``O``, ``OU``, ``L``, ``ST``, ``C``).
        members: The hosts of a pair that shares the hostname; empty for a single host.
        member: This host's member name, empty where the configuration does not say.
        client_authentication: None if no client certificates are required.
        keeps_records: Whether gatecert keeps the address records of the hostname (dynamic DNS).
        is_looked_up: Whether the names are looked up in the DNS.
    """

    name: str
    identifiers: tuple[Identifier, ...]
    display_name: str
    mode: Mode = Mode.AUTOMATIC
    region: str = ""
    addresses: tuple[str, ...] = ()
    authorities: tuple[str, ...] = ()
    challenges: tuple[str, ...] = ("http-01",)
    choices: tuple[ChallengeChoice, ...] = ()
    key: KeyPolicy = KeyPolicy()
    install: InstallPlan = InstallPlan()
    renewal: RenewalPolicy = RenewalPolicy()
    subject: tuple[tuple[str, str], ...] = ()
    members: tuple[Member, ...] = ()
    member: str = ""
    client_authentication: ClientAuthentication | None = None
    profile: ClientProfile = ClientProfile()
    keeps_records: bool = False
    is_looked_up: bool = True

    @property
    def hostname(self) -> str:
        """The name that clients connect to (A-labels)."""
        return self.identifiers[0].value

    def choice(self, name: str) -> ChallengeChoice:
        """Return the challenge types to try for one of the names."""
        kept = (choice for choice in self.choices if choice.name == name)
        return next(kept, ChallengeChoice(name, self.challenges))
