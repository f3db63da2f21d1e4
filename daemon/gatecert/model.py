"""The values that one stage hands to the next, and those that outlive a pass on disk.

::

    Config → Target → Due → Resolution → IssuedChain → Installed → Verdict → Outcome
             (which)  (when)  (where)       (what)       (swapped)   (served?)  (reported, stored)

Every class is a frozen dataclass. Every instant is an aware UTC ``datetime``, every duration a
``timedelta``. PEM is ``bytes``; private keys never appear in a repr.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Protocol

# --------------------------------------------------------------------------- which


class IdentifierType(StrEnum):
    """ACME identifier types (RFC 8555 section 9.7.7, RFC 8738 for IP addresses)."""

    DNS = "dns"
    IP = "ip"


@dataclass(frozen=True, slots=True, order=True)
class Identifier:
    """A name that a certificate is for.

    Attributes:
        type: DNS name or IP address.
        value: Lower-case A-labels without a final dot (``*.`` in front of a wildcard), or the
            canonical text of an address.
    """

    type: IdentifierType
    value: str

    @property
    def is_wildcard(self) -> bool:
        """Whether this is a wildcard DNS name."""
        return self.value.startswith("*.")

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A host (name or address, without brackets) and a TCP or UDP port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


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

    def is_kept_by(self, summary: CertificateSummary) -> bool:
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


# --------------------------------------------------------------------------- what may be asked for


_UNITS = (
    ("day", timedelta(days=1)),
    ("hour", timedelta(hours=1)),
    ("minute", timedelta(minutes=1)),
    ("second", timedelta(seconds=1)),
)


@dataclass(frozen=True, slots=True)
class Allowance:
    """How much of something an authority allows: at most ``count`` in any ``period``."""

    count: int
    period: timedelta

    def __str__(self) -> str:
        unit, length = next((each for each in _UNITS if self.period >= each[1]), _UNITS[-1])
        number = self.period / length
        return f"{self.count} in {number:g} {unit}{'' if number == 1 else 's'}"


@dataclass(frozen=True, slots=True)
class Limits:
    """What an authority allows; None where it does not matter.

    Attributes:
        new_accounts: From this host.
        orders: Of an account.
        certificates: For a registered domain.
        duplicates: Certificates for exactly the same names.
        replacements: The same where each replaces the one before, which authorities do not count.
        failed_validations: Of one name by an account.
    """

    new_accounts: Allowance | None = None
    orders: Allowance | None = None
    certificates: Allowance | None = None
    duplicates: Allowance | None = None
    replacements: Allowance | None = None
    failed_validations: Allowance | None = None


class ExpenseKind(StrEnum):
    """What counts against an authority's limits."""

    ACCOUNT = "account"
    ORDER = "order"
    CERTIFICATE = "certificate"
    REPLACEMENT = "replacement"
    VALIDATION = "validation"


@dataclass(frozen=True, slots=True)
class Expense:
    """Something that was asked of an authority, or is about to be.

    Attributes:
        at: When; where the clock had been set back, the latest instant known until then.
        noticed: What the clock said when ``at`` was found to lie in the future; None where it was
            not.
        id: What it was for, so that it counts once however often it is tried again; may be empty.
        account: URL of the account.
        names: The names that it was about.
    """

    kind: ExpenseKind
    at: datetime
    id: str = ""
    account: str = ""
    names: tuple[str, ...] = ()
    noticed: datetime | None = None


@dataclass(frozen=True, slots=True)
class Spending:
    """All that was asked of one authority lately, oldest first."""

    expenses: tuple[Expense, ...] = ()


# --------------------------------------------------------------------------- what there is


class Origin(StrEnum):
    """Who made a certificate."""

    BOOTSTRAP = "bootstrap"
    AUTHORITY = "authority"
    IMPORTED = "imported"


@dataclass(frozen=True, slots=True)
class CertificateSummary:
    """What has to be known of a certificate to decide about it.

    Attributes:
        subject: RFC 4514 text, cleaned.
        issuer: RFC 4514 text, cleaned.
        fingerprint: SHA-256 of the DER, lower-case hexadecimal.
        chain_fingerprints: The same for the intermediates, in order.
        key_fingerprint: SHA-256 of the SubjectPublicKeyInfo DER, lower-case hexadecimal.
        is_bootstrap: Self-signed by gatecert.
        certificate_id: ARI CertID (RFC 9773 section 4.1), empty where there can be none.
        key_algorithm: ``ecdsa`` or ``rsa``; empty where it does not matter.
        second: The certificate of the other algorithm that is served beside this one, if any.
    """

    subject: str
    issuer: str
    identifiers: tuple[Identifier, ...]
    not_before: datetime
    not_after: datetime
    fingerprint: str
    chain_fingerprints: tuple[str, ...]
    key_fingerprint: str
    is_bootstrap: bool
    certificate_id: str
    key_algorithm: str = ""
    second: CertificateSummary | None = None

    @property
    def algorithms(self) -> tuple[str, ...]:
        """What to ask a listener for, one handshake each: anything, unless this is a pair."""
        return ("",) if self.second is None else (self.key_algorithm, self.second.key_algorithm)

    def of(self, algorithm: str, fingerprint: str = "") -> CertificateSummary:
        """The certificate of the pair that a client sees which takes only this algorithm.

        Args:
            algorithm: Empty for a client that takes any; then either will do.
            fingerprint: What such a client saw.
        """
        second = self.second
        if second is None:
            return self
        wanted = (
            second.key_algorithm == algorithm if algorithm else second.fingerprint == fingerprint
        )
        return second if wanted else self

    @property
    def lifetime(self) -> timedelta:
        """The whole validity period."""
        return self.not_after - self.not_before

    def covers(self, identifiers: tuple[Identifier, ...]) -> bool:
        """Whether every one of the identifiers stands in the certificate."""
        return set(identifiers) <= set(self.identifiers)


@dataclass(frozen=True, slots=True)
class UserAuthority:
    """An authority whose certificates a gateway accepts from its users.

    Attributes:
        subject: RFC 4514 text, cleaned.
        issuer: RFC 4514 text, cleaned; the subject itself for a root.
        fingerprint: SHA-256 of the DER, lower-case hexadecimal.
        is_root: Whether it vouches for itself.
    """

    subject: str
    issuer: str
    fingerprint: str
    not_before: datetime
    not_after: datetime
    is_root: bool


# --------------------------------------------------------------------------- when


class Action(StrEnum):
    """What a pass has to do for a gateway."""

    NONE = "none"
    BOOTSTRAP = "bootstrap"
    ENROL = "enrol"
    DEPLOY = "deploy"
    VERIFY = "verify"


@dataclass(frozen=True, slots=True)
class Due:
    """What is to be done for a gateway, and when.

    Attributes:
        action: What to do at ``at``.
        at: The instant; not after ``now`` means at once.
        reason: Why, in words for the operator.
    """

    action: Action
    at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class RenewalInfo:
    """What the authority last suggested for a certificate (RFC 9773).

    Attributes:
        certificate_id: Which certificate this is about.
        renew_at: The instant picked at random in the window; None when there is no usable answer.
        next_fetch: Not asked again before this instant.
        explanation_url: The authority's page that explains the window, empty if none.
        failures: Consecutive fetches that failed.
    """

    certificate_id: str
    next_fetch: datetime
    window_start: datetime | None = None
    window_end: datetime | None = None
    renew_at: datetime | None = None
    explanation_url: str = ""
    failures: int = 0


class RevocationReason(StrEnum):
    """Why a certificate was revoked, by the names of RFC 5280 section 5.3.1."""

    UNSPECIFIED = "unspecified"
    KEY_COMPROMISE = "keyCompromise"
    CA_COMPROMISE = "cACompromise"
    AFFILIATION_CHANGED = "affiliationChanged"
    SUPERSEDED = "superseded"
    CESSATION_OF_OPERATION = "cessationOfOperation"
    CERTIFICATE_HOLD = "certificateHold"
    PRIVILEGE_WITHDRAWN = "privilegeWithdrawn"
    AA_COMPROMISE = "aACompromise"


@dataclass(frozen=True, slots=True)
class RevocationStanding:
    """Whether a certificate was revoked, as far as that is known.

    Attributes:
        fingerprint: Which certificate this is about.
        next_look: Its authority's revocation lists are not looked at before this instant.
        checked: When a list was last found to be good that tells of it; None if never.
        revoked: Since when it is revoked; None if it is not.
        source: Who says so: URL of a list, or in words.
        new_key: Whether its key may not be used again.
        failures: Consecutive looks that told nothing.
        problem: Why the last look told nothing, one line; empty when it did.
    """

    fingerprint: str
    next_look: datetime
    checked: datetime | None = None
    revoked: datetime | None = None
    reason: RevocationReason = RevocationReason.UNSPECIFIED
    source: str = ""
    new_key: bool = False
    failures: int = 0
    problem: str = ""

    @property
    def words(self) -> str:
        """That it was revoked, when, and why."""
        since = f" on {self.revoked:%Y-%m-%d %H:%M} UTC" if self.revoked is not None else ""
        return f"revoked{since} ({self.reason})"


@dataclass(frozen=True, slots=True)
class StoredList:
    """A revocation list as it was fetched; not to be trusted before its signature is checked.

    Attributes:
        data: DER or PEM.
        fetched: When its host last said that this is the current one.
        etag: What the host called it, to ask whether there is a newer one.
        last_modified: The same, for hosts without entity tags.
    """

    data: bytes = field(repr=False)
    fetched: datetime
    etag: str = ""
    last_modified: str = ""


# --------------------------------------------------------------------------- where


class ResolutionKind(StrEnum):
    """How looking up a name ended, best first."""

    HERE = "here"
    BEHIND_NAT = "behind-nat"  # only private addresses on this host: a public answer has to do
    ELSEWHERE = "elsewhere"
    NO_ADDRESS = "no-address"
    NO_SUCH_NAME = "no-such-name"
    SERVER_FAILURE = "server-failure"
    TIMEOUT = "timeout"

    @property
    def is_here(self) -> bool:
        """Whether who connects to the name finds this gateway, as far as that can be known."""
        return self in {ResolutionKind.HERE, ResolutionKind.BEHIND_NAT}


@dataclass(frozen=True, slots=True)
class NameResolution:
    """What one name resolves to.

    Attributes:
        answers: Every address found, canonical text.
        wrong: Those of them that are not the gateway's.
        time_to_live: Smallest TTL seen on the way (negative answers: RFC 2308), None if unknown.
        detail: One line for the operator.
        required: Whether validation needs the name to point here; dns-* challenges do not.
    """

    name: str
    kind: ResolutionKind
    answers: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()
    time_to_live: timedelta | None = None
    detail: str = ""
    required: bool = True

    @property
    def points_here(self) -> bool:
        """Whether an order may be placed as far as this name is concerned."""
        return not self.required or self.kind.is_here


@dataclass(frozen=True, slots=True)
class Resolution:
    """What all DNS names of a gateway resolve to.

    Attributes:
        expected: The gateway's own addresses, canonical text; empty behind NAT.
    """

    at: datetime
    names: tuple[NameResolution, ...]
    expected: tuple[str, ...] = ()

    @property
    def points_here(self) -> bool:
        """Whether an order may be placed: every name that has to points at the gateway."""
        return all(name.points_here for name in self.names)

    @property
    def detail(self) -> str:
        """One line: what is wrong, or that all is right."""
        wrong = [name.detail for name in self.names if not name.points_here]
        return "; ".join(wrong or [name.detail for name in self.names])

    @property
    def kind(self) -> ResolutionKind:
        """How the worst of the names that have to point here ended."""
        required = [name.kind for name in self.names if name.required]
        return max(required, key=list(ResolutionKind).index, default=ResolutionKind.HERE)

    @property
    def time_to_live(self) -> timedelta | None:
        """The smallest TTL of all names."""
        known = [name.time_to_live for name in self.names if name.time_to_live is not None]
        return min(known, default=None)


# --------------------------------------------------------------------------- what


@dataclass(frozen=True, slots=True)
class KeyRequest:
    """A private key that waits for its certificate.

    Attributes:
        id: Name of its directory below ``requests/``.
        csr: Certificate signing request, PEM.
    """

    id: str
    created: datetime
    private_key: bytes = field(repr=False)
    csr: bytes


@dataclass(frozen=True, slots=True)
class PendingOrder:
    """An order that has been placed and not yet been brought to an end.

    Attributes:
        authority: Name of the authority in the configuration.
        directory_url: Its directory, so that an order is never resumed elsewhere.
        url: The order's URL (RFC 8555 section 7.4).
        request_id: The key request whose key and CSR belong to it.
        replaces: CertID of the certificate that the authority was told it replaces (RFC 9773).
    """

    authority: str
    directory_url: str
    url: str
    request_id: str
    identifiers: tuple[Identifier, ...]
    created: datetime
    replaces: str = ""


@dataclass(frozen=True, slots=True)
class Account:
    """An ACME account (RFC 8555 section 7.1.2).

    Attributes:
        private_key: Account key, PEM (PKCS #8).
        url: Account URL; empty when only the key is known.
        directory_url: The authority it was made at.
    """

    private_key: bytes = field(repr=False)
    url: str = ""
    directory_url: str = ""
    contact: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class IssuedChain:
    """A key with its certificate and the certificates of its issuers, checked.

    Attributes:
        certificate: The leaf, PEM.
        chain: The intermediates, PEM, concatenated, the leaf's issuer first; may be empty.
        root: The self-signed root where it is known, PEM; kept, never served.
        authority: Name of the authority in the configuration, empty otherwise.
        order_url: Where it came from, empty for bootstrap and imports.
        notes: Things worth telling the operator, one line each.
        second: The one of the other algorithm that goes with it.
    """

    private_key: bytes = field(repr=False)
    certificate: bytes
    chain: bytes
    origin: Origin
    root: bytes = b""
    authority: str = ""
    order_url: str = ""
    notes: tuple[str, ...] = ()
    second: IssuedChain | None = None


@dataclass(frozen=True, slots=True)
class TextRecord:
    """A TXT record that answers a challenge.

    Attributes:
        name: Where it stands: lower-case A-labels without a final dot, aliases followed.
        value: Its text; no secret, since everybody may look it up.
        zone: The zone it stands in, written like the name.
    """

    name: str
    value: str
    zone: str


@dataclass(frozen=True, slots=True)
class PublishedRecord:
    """A TXT record that may stand in the DNS and has to be withdrawn.

    Attributes:
        id: Name of its entry in the journal.
        at: When it was about to be published.
        abandoned: Whether nobody works with it any more: its process is gone, or gave it up.
    """

    id: str
    record: TextRecord
    at: datetime
    abandoned: bool = False


# --------------------------------------------------------------------------- swapped


@dataclass(frozen=True, slots=True)
class Version:
    """One stored key and certificate of a gateway, below ``versions/<id>``.

    Attributes:
        id: Sortable by age.
        directory: Absolute path.
        origin: None where ``meta.json`` was lost; the certificate itself then has to tell.
        certificate: The leaf, PEM.
        chain: The intermediates, PEM.
        second_certificate: The leaf of the other algorithm, PEM; empty where there is none.
        second_chain: Its intermediates, PEM.
    """

    id: str
    directory: Path
    certificate: bytes
    chain: bytes
    origin: Origin | None = None
    authority: str = ""
    order_url: str = ""
    created: datetime | None = None
    second_certificate: bytes = b""
    second_chain: bytes = b""


@dataclass(frozen=True, slots=True)
class Installed:
    """``live`` now leads to ``version``; before, it led to ``previous``."""

    version: Version
    previous: Version | None


@dataclass(frozen=True, slots=True)
class Silence:
    """Listeners that answered once and do not any more.

    Attributes:
        since: When that was first seen.
        at: When it was seen last.
        listeners: Which of them, ``host:port``.
        detail: One line for the operator.
    """

    since: datetime
    at: datetime
    listeners: tuple[str, ...]
    detail: str


@dataclass(frozen=True, slots=True)
class Deployment:
    """How far bringing a version onto the gateway has come; this host's alone.

    Attributes:
        version: Id of the version that ought to be served.
        confirmed: When a handshake last proved it at every listener; None while unproven.
        failures: Consecutive failed tries.
        next_attempt: No try before this instant.
        error: Why the last try failed, one line.
        silence: What the last look showed, where a gateway that was proven did not answer it.
        previous: Id of the version that is put back if this one is not taken, empty if none; it is
            known even where a crash came after the swap.
    """

    version: str
    confirmed: datetime | None = None
    failures: int = 0
    next_attempt: datetime | None = None
    error: str = ""
    silence: Silence | None = None
    previous: str = ""


# --------------------------------------------------------------------------- served?


@dataclass(frozen=True, slots=True)
class Probe:
    """What one listener serves.

    Attributes:
        endpoint: The listener; None where a command was asked instead.
        fingerprint: SHA-256 of the served leaf's DER, empty where no handshake succeeded.
        matches: Leaf and intermediates equal the installed ones.
        detail: One line for the operator.
    """

    endpoint: Endpoint | None
    fingerprint: str
    matches: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether every listener serves the installed certificate."""

    at: datetime
    probes: tuple[Probe, ...]

    @property
    def served(self) -> bool:
        """True when every listener matches; also when there is none to ask."""
        return all(probe.matches for probe in self.probes)

    @property
    def detail(self) -> str:
        """One line: what is wrong, or what is served."""
        wrong = [probe.detail for probe in self.probes if not probe.matches]
        return "; ".join(wrong or [probe.detail for probe in self.probes])


# --------------------------------------------------------------------------- reported, stored


class OutcomeKind(StrEnum):
    """How a pass ended."""

    IDLE = "idle"
    BOOTSTRAPPED = "bootstrapped"
    WAITING = "waiting"
    ENROLLED = "enrolled"
    RENEWED = "renewed"
    IMPORTED = "imported"
    DEPLOYED = "deployed"
    SKIPPED = "skipped"
    ROLLED_BACK = "rolled-back"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a pass over one gateway ended.

    Attributes:
        detail: One line in words.
        code: The error's stable code, empty when nothing failed.
        fix: What the operator can do, empty when nothing needs doing.
        next_action: What comes next, in words.
        next_at: When; None where only a person or an event can move things on.
        wake_at: When the gateway wants to be looked at again, not after ``next_at``.
        seconds: How long the pass took.
    """

    gateway: str
    at: datetime
    kind: OutcomeKind
    detail: str
    code: str = ""
    fix: str = ""
    next_action: str = ""
    next_at: datetime | None = None
    wake_at: datetime | None = None
    seconds: float = 0.0

    @property
    def failed(self) -> bool:
        """Whether an operator would call this a failure."""
        return self.kind in {OutcomeKind.FAILED, OutcomeKind.ROLLED_BACK}

    @property
    def settled(self) -> bool:
        """Whether nothing is left that an operator has to see to."""
        return not self.failed and (not self.code or self.kind is OutcomeKind.DEPLOYED)


@dataclass(frozen=True, slots=True)
class ExpiryNotice:
    """The last warning that was given of a certificate's end.

    Attributes:
        fingerprint: Which certificate it was about.
        days: The threshold that had passed, in days before the end; 0 once it has ended.
    """

    fingerprint: str
    days: int


@dataclass(frozen=True, slots=True)
class ChallengeFailure:
    """The last time that a challenge type did not work for a name.

    Attributes:
        name: As it stands in the certificate.
        kind: ``http-01`` …
        reason: Why, one line, cleaned.
    """

    name: str
    kind: str
    at: datetime
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Obstruction:
    """Something that an order is certain to fail of, so that none was placed.

    Attributes:
        code: What it is; one of the doctor's.
        at: When it was seen.
        until: Not looked at again before this instant.
    """

    code: str
    at: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class AuthorityTrouble:
    """What an authority has refused or failed to do for a gateway, and whether it was left for it.

    Attributes:
        name: The authority's name in the configuration.
        at: When it failed last; in the future only if the clock was set back.
        failures: How often in succession.
        left_until: Not asked before this instant as long as there is another; None if not left.
        reason: Why it failed last, one line.
        validation_failed: Whether that was a validation, so that it is tried elsewhere first.
    """

    name: str
    at: datetime
    failures: int = 1
    left_until: datetime | None = None
    reason: str = ""
    validation_failed: bool = False


@dataclass(frozen=True, slots=True)
class GatewayState:
    """What has to be remembered of a gateway between passes; ``state.json``.

    Attributes:
        failures: Consecutive failed attempts to enrol.
        failed_at: When the last of them failed, or had to wait; in the future only if the clock
            was set back.
        next_attempt: No order before this instant.
        resolution: The last look at DNS.
        next_look: DNS is not asked again before this instant.
        order: The order that is under way.
        second_order: The same for the second certificate of a pair.
        renewal: What the authority last suggested.
        obstruction: What held back the last order; no failed attempt.
        outcome: How the last pass that did something ended.
        expiry_notice: The last warning of an imported certificate's end, so that none comes twice.
        challenge_failures: What has not worked since the last certificate was issued, so that
            another challenge type is tried next.
        authority_notices: The same for each authority of the users' certificates.
        troubles: With authorities that certificates are enrolled with, one each.
        revocation: Whether the certificate was revoked.
    """

    failures: int = 0
    failed_at: datetime | None = None
    next_attempt: datetime | None = None
    resolution: Resolution | None = None
    next_look: datetime | None = None
    order: PendingOrder | None = None
    renewal: RenewalInfo | None = None
    obstruction: Obstruction | None = None
    outcome: Outcome | None = None
    expiry_notice: ExpiryNotice | None = None
    challenge_failures: tuple[ChallengeFailure, ...] = ()
    authority_notices: tuple[ExpiryNotice, ...] = ()
    troubles: tuple[AuthorityTrouble, ...] = ()
    revocation: RevocationStanding | None = None
    second_order: PendingOrder | None = None

    def revocation_of(self, certificate: CertificateSummary) -> RevocationStanding | None:
        """What is known of the revocation of this certificate; None where nothing is."""
        known = self.revocation
        return known if known and known.fingerprint == certificate.fingerprint else None


# --------------------------------------------------------------------------- told meanwhile


class Stage(StrEnum):
    """The stages an operator sees go by."""

    RESOLVE = "resolve"
    CHECK = "check"
    ORDER = "order"
    INSTALL = "install"
    VERIFY = "verify"


class Progress(Protocol):
    """Called as a pass goes along, with one line for the operator."""

    def __call__(self, gateway: str, stage: Stage, message: str) -> None:
        """Tell that ``gateway`` is in ``stage``."""
        ...
