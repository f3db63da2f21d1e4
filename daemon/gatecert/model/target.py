"""Which: what the operator wants for one gateway, checked and complete."""

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
        starttls: The protocol whose STARTTLS comes before the TLS handshake; empty for none.
        proxy_protocol: The version of the PROXY protocol that the listener expects; 0 for none.
        server_name: The name to ask for instead of the gateway's; empty for that.
        address: Which of the host's addresses is meant; empty for any.
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
    """A listener with how it is asked, on one line."""
    how = (
        ("starttls", listener.starttls),
        ("proxy_protocol", listener.proxy_protocol),
        ("server_name", listener.server_name),
    )
    return " ".join([str(listener), *(f"{name}={value}" for name, value in how if value)])


class Mode(StrEnum):
    """Where a gateway's certificate comes from."""

    AUTOMATIC = "automatic"
    CUSTOM = "custom"


class KeyType(StrEnum):
    """Certificate key types that public authorities accept."""

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
    """Which key a certificate gets, and whether a renewal keeps it.

    Attributes:
        second: For a second certificate beside the first, of the other algorithm; None for none.
    """

    type: KeyType = KeyType.ECDSA_P256
    reuse: bool = False
    second: KeyType | None = None

    def is_satisfied_by(self, summary: CertificateSummary) -> bool:
        """Whether a certificate is a pair if one is wanted, each of the algorithm it has to be."""
        if self.second is None:
            return True
        return summary.algorithms == (self.type.algorithm, self.second.algorithm)


class FileContents(StrEnum):
    """What a copied file holds; in PEM where nothing else is said."""

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
    """A file that some server insists on, beside ``live``.

    Attributes:
        mode: Permission bits, as for ``os.chmod``.
        password_file: Holds the password of a PKCS #12 file; None for every other kind.
    """

    path: Path
    contents: FileContents
    owner: str | None = None
    group: str | None = None
    mode: int = 0o600
    password_file: Path | None = None


@dataclass(frozen=True, slots=True)
class InstallPlan:
    """How a certificate reaches the gateway and how it is proven to be served.

    Attributes:
        reload: The reload command as argv; empty when the gateway notices by itself.
        reload_timeout: After this the command's process group is killed.
        verify: Every listener that has to serve the certificate; empty means no proof.
        verify_command: Tells by its exit status whether the certificate is served, where TLS is
            not at the beginning of a connection; empty when there is none.
        verify_timeout: How long the listeners may take until they serve it.
        watch: How often the listeners are asked what they serve, once it has been proven.
        copies: Further files to write.
        key_group: Group that may read private keys (then 0640, directories 0750).
        keep_versions: How many versions are kept on disk, the live one included.
    """

    reload: tuple[str, ...] = ()
    reload_timeout: timedelta = timedelta(seconds=30)
    verify: tuple[Endpoint, ...] = ()
    verify_command: tuple[str, ...] = ()
    verify_timeout: timedelta = timedelta(seconds=15)
    watch: timedelta = timedelta(minutes=5)
    copies: tuple[FileCopy, ...] = ()
    key_group: str | None = None
    keep_versions: int = 5

    @property
    def proofs(self) -> tuple[str, ...]:
        """What tells whether the certificate is served, as it is remembered: listeners, command."""
        return (*map(repr_of_listener, self.verify), *self.verify_command)

    @property
    def is_provable(self) -> bool:
        """Whether there is anything that can tell that the certificate is served."""
        return bool(self.verify or self.verify_command)


@dataclass(frozen=True, slots=True)
class RenewalPolicy:
    """When a certificate is renewed where the authority gives no renewal information.

    Attributes:
        renewal_info: Whether ARI (RFC 9773) is asked at all.
        revocation_lists: Whether the authority's revocation lists are looked at.
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
        name: What the configuration calls it.
        common_name: The name of this host alone (A-labels).
    """

    name: str
    common_name: str


@dataclass(frozen=True, slots=True)
class ClientAuthentication:
    """What is known of the certificates that a gateway demands of its users.

    Attributes:
        crl_files: Revocation lists of the users' authorities, PEM.
        known_users: Directory of user certificates, None where there is none.
    """

    crl_files: tuple[Path, ...] = ()
    known_users: Path | None = None


@dataclass(frozen=True, slots=True)
class ClientProfile:
    """How a gateway stands in its users' clients.

    Attributes:
        display_name: What users choose it by; empty means the gateway's name.
        port: The port that clients connect to.
    """

    display_name: str = ""
    port: int = 443


@dataclass(frozen=True, slots=True)
class ChallengeChoice:
    """How control over one name is to be shown.

    Attributes:
        name: As it stands in the certificate.
        kinds: Challenge types in the order to try.
        reason: Why not in the configured order, for the operator; empty where it is that order.
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
        display_name: The hostname for people: U-label and A-label where they differ.
        region: The region as configured, lower case; empty means: from the hostname.
        addresses: Addresses the names must resolve to, as canonical text; empty means detected.
        authorities: Names of the authorities to try, in order.
        challenges: Challenge types to try, in order (``http-01`` …).
        choices: Which of them to try for a name at this moment; left out: all, in that order.
        subject: Further attributes of a request's subject (``O``, ``OU``, ``L``, ``ST``, ``C``).
        members: The hosts of a pair that shares the hostname; empty for a single host.
        member: Which of them this host is, empty where the configuration leaves it open.
        client_authentication: None where no certificate is demanded of users.
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

    @property
    def hostname(self) -> str:
        """The name by which clients reach the gateway (A-labels)."""
        return self.identifiers[0].value

    def choice(self, name: str) -> ChallengeChoice:
        """How to show control over one of the names."""
        kept = (choice for choice in self.choices if choice.name == name)
        return next(kept, ChallengeChoice(name, self.challenges))
