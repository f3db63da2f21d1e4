"""The errors that gatecert raises, as data.

::

    GatecertError
    ├── ConfigurationError            the configuration file; carries every problem found
    ├── WrongUsageError               a command that does not fit the configuration (exit 2)
    ├── StateError                    the state directory
    │   ├── DaemonRunningError        another gatecert holds it (exit 3)
    │   ├── LockTimeoutError          another gatecert is changing this gateway (exit 3)
    │   ├── LeaseLostError            another host orders for this gateway, or may
    │   └── StorageError              unwritable, read-only or full
    │       ├── SealingKeyMissingError  a private key of the fleet cannot be opened here
    │       └── DatabaseError         the fleet's database refuses a statement
    │           ├── DatabaseAwayError     no server answers, or none in time
    │           ├── EnrolmentDamagedError what hosts share of a gateway's state is damaged
    │           ├── HostTwiceError        two daemons have one name
    │           ├── CommitUnknownError    whether a change is durable is not known
    │           ├── LoginRefusedError     the database does not let this host in
    │           ├── SchemaUnknownError    its schema is too old or too new for this gatecert
    │           └── PoolerUnfitError      a pooler gives each transaction another connection
    ├── WorkerLostError               the process that worked on the gateway was lost
    ├── ResolutionError               no usable answer from the resolver
    ├── CertificateError              an invalid key, request, certificate or chain
    │   └── InferiorCertificateError  a valid certificate worse than the one in use
    ├── ChallengeError                a challenge could not be presented
    │   ├── AddressInUseError         another process listens on the responder's address
    │   ├── ProviderNotContactedError nothing was sent to a DNS provider or nameserver
    │   ├── RecordRefusedError        a DNS provider or nameserver refuses to change the zone
    │   └── RecordNotVisibleError     a nameserver does not serve the record
    ├── DdnsError                     the address records could not be kept (dynamic DNS)
    │   ├── NoPublicAddressError      no address of the gateway may be published
    │   ├── DdnsUnreachableError      the service does not answer, or has a problem of its own
    │   ├── DdnsRefusedError          the service refuses, and will until something changes
    │   └── DdnsBlockedError          the service has blocked the name because of too many updates
    ├── AuthorityError                the CA, or the connection to it
    │   ├── AuthorityUnreachableError network, TLS or an answer that is not ACME
    │   │   └── AuthorityServerError  the CA reported a server error
    │   ├── InsecureURLError          an http:// URL where only https:// is safe
    │   ├── TermsNotAgreedError       the operator has not agreed to the terms of service
    │   ├── ExternalAccountRequiredError  requires external account binding (EAB)
    │   ├── ProfileMissingError       the CA has no profile of that name
    │   ├── ClientCertificateError    our client certificate is unusable, or the CA refuses it
    │   ├── DeadlineExceededError     the total deadline of an operation passed
    │   ├── InterruptedOrderError     gatecert is stopping; the order can be resumed
    │   ├── RateLimitBudgetError      would exceed the CA's rate limits; says until when
    │   └── ACMEError                 a problem document (RFC 8555 section 6.7)
    │       ├── RateLimitedError      carries retry_after
    │       ├── AccountMissingError   the CA does not know the account
    │       ├── UserActionRequiredError  the operator has to visit a page of the CA first
    │       └── ChallengeFailedError  a validation failed; carries the failures
    ├── LockoutError                  a change would lock users out (--force)
    └── DeploymentError               the gateway does not serve the new certificate
        ├── CopyError                 a file of install.copy_to could not be written
        ├── ReloadError               the reload command failed, hung or could not be run
        ├── NotServedError            the handshake shows another certificate
        └── MixedCertificatesError    some handshakes show another certificate

Each message is one line for the operator. ``fix`` says what to do. ``code`` is stable, for
programs. ``retryable`` is true if the same attempt may succeed later without a change by a person.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

LONGEST_EXTERNAL_TEXT = 500


def clean(text: str, limit: int = LONGEST_EXTERNAL_TEXT) -> str:
    """Make external text (of a CA, a server, a command) safe to show on one line.

    Unprintable characters become spaces, runs of white space become one space, and the result is
    cut to ``limit`` characters.
    """
    printable = "".join(character if character.isprintable() else " " for character in text)
    single_line = " ".join(printable.split())
    return single_line if len(single_line) <= limit else single_line[: limit - 1] + "…"


class GatecertError(Exception):
    """The root of every expected error.

    Args:
        message: One line: what happened, where, and what it means for the gateway.
        fix: One line: what the operator can do. Empty if no action is needed.
    """

    code: ClassVar[str] = "error"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, fix: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.message} ({self.fix})" if self.fix else self.message


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem in a configuration file.

    Attributes:
        where: ``file:line``, or only the file if no line applies.
        key: Dotted path of the key; empty for the whole file.
        what: The problem and the correct form, on one line.
        exposed: Whether it is that another user can change the file.
    """

    where: str
    key: str
    what: str
    exposed: bool = field(default=False, kw_only=True)

    def __str__(self) -> str:
        return (
            f"{self.where}: {self.key}: {self.what}" if self.key else f"{self.where}: {self.what}"
        )


class WorkerLostError(GatecertError):
    """The process that worked on a gateway crashed, hung or grew too large."""

    code = "worker-lost"
    retryable = True


class ConfigurationError(GatecertError):
    """An unusable configuration, with every problem in it."""

    code = "configuration"

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


class WrongUsageError(GatecertError):
    """A command argument that does not fit the configuration."""

    code = "usage"


class StateError(GatecertError):
    """A problem with the state directory."""

    code = "state"


class DaemonRunningError(StateError):
    """Another gatecert holds the state directory."""

    code = "state-held"


class LockTimeoutError(StateError):
    """Another gatecert held a gateway's lock for too long."""

    code = "gateway-busy"
    retryable = True


class LeaseLostError(StateError):
    """Another host orders for the gateway, or may by now; nothing more is sent for it from here."""

    code = "lease-lost"
    retryable = True


class StorageError(StateError):
    """A failure to read or write the state directory (permissions, read-only, full)."""

    code = "state-unwritable"
    retryable = True


class SealingKeyMissingError(StorageError):
    """A private key of the fleet that no sealing key of this host opens."""

    code = "sealing-key-missing"
    retryable = False


class DatabaseError(StorageError):
    """A statement that the fleet's database refuses."""

    code = "database"


class DatabaseAwayError(DatabaseError):
    """No server of the fleet's database answers, or none in time; nothing was changed."""

    code = "database-away"


class EnrolmentDamagedError(DatabaseError):
    """The state of enrolment that hosts share of one gateway cannot be read."""

    code = "enrolment-damaged"
    retryable = False


class HostTwiceError(DatabaseError):
    """Two daemons sign with one name, so neither knows what the other one does."""

    code = "host-twice"


class CommitUnknownError(DatabaseError):
    """A change of the fleet's database that may be durable or not.

    The process that made it reads its row again, with a lock (`FOR UPDATE`) and in a new
    transaction: the lock waits for the change to be decided, and the commit covers it. Nothing is
    sent to a CA before that.
    """

    code = "commit-unknown"


class LoginRefusedError(DatabaseError):
    """The fleet's database does not let this host in, and will not until something is corrected."""

    code = "login-refused"
    retryable = False


class SchemaUnknownError(DatabaseError):
    """The schema of the fleet's database is too old or too new for this gatecert."""

    code = "schema-unknown"
    retryable = False


class PoolerUnfitError(DatabaseError):
    """A pooler gives each transaction another connection to the fleet's database."""

    code = "pooler-unfit"
    retryable = False


class ResolutionError(GatecertError):
    """No usable answer from the resolver."""

    code = "resolution"
    retryable = True


class CertificateError(GatecertError):
    """A key, request, certificate or chain that is invalid, or not the requested one."""

    code = "certificate"


class InferiorCertificateError(CertificateError):
    """A valid certificate that is worse than the one in use."""

    code = "worse-certificate"


class UntrustedRootError(InferiorCertificateError):
    """A chain to an untrusted root, while a trusted certificate is in use."""

    code = "untrusted-root"


class ShortLivedError(InferiorCertificateError):
    """A certificate that ends within a day, and before the one in use."""

    code = "short-lived"


@dataclass(frozen=True, slots=True)
class FailedAttempt:
    """A challenge type that failed for a name.

    Attributes:
        name: The name as in the certificate.
        kind: ``http-01`` …
        reason: One line, cleaned.
    """

    name: str
    kind: str
    reason: str


class ChallengeError(GatecertError):
    """A challenge response that could not be presented to the CA.

    Attributes:
        attempts: The failed attempts by name, where known.
    """

    code = "challenge"
    retryable = True
    attempts: tuple[FailedAttempt, ...] = ()


class AddressInUseError(ChallengeError):
    """Another process listens on an address that a challenge responder needs."""

    code = "address-in-use"


class ProviderNotContactedError(ChallengeError):
    """No request reached a DNS provider, nameserver or command: nothing changed."""


class RecordRefusedError(ChallengeError):
    """A DNS provider or nameserver refused to change the zone: nothing changed."""

    code = "record-refused"


class RecordNotVisibleError(ChallengeError):
    """A nameserver of the zone does not serve the record that the CA will query."""

    code = "record-not-visible"


class DdnsError(GatecertError):
    """The address records of a gateway could not be kept."""

    code = "ddns"
    retryable = True


class NoPublicAddressError(DdnsError):
    """No address of the gateway was found that may be published."""

    code = "ddns-no-address"


class DdnsUnreachableError(DdnsError):
    """A dynamic-DNS service does not answer, or says that it has a problem.

    Args:
        message: As in `GatecertError`.
        fix: As in `GatecertError`.
        pause: Seconds that the service asks to wait; None if it does not say.
    """

    code = "ddns-unreachable"

    def __init__(self, message: str, *, fix: str = "", pause: float | None = None) -> None:
        super().__init__(message, fix=fix)
        self.pause = pause


class DdnsRefusedError(DdnsError):
    """A dynamic-DNS service refuses the update, and will until something is corrected."""

    code = "ddns-refused"
    retryable = False


class DdnsBlockedError(DdnsError):
    """A dynamic-DNS service has blocked the name because of too many or needless updates."""

    code = "ddns-blocked"
    retryable = False


class AuthorityError(GatecertError):
    """A problem with the CA, or with the connection to it."""

    code = "authority"
    retryable = True


class AuthorityUnreachableError(AuthorityError):
    """No answer, no trusted TLS, or an answer that is not ACME."""

    code = "authority-unreachable"


class AuthorityServerError(AuthorityUnreachableError):
    """The CA reported a server error (HTTP 5xx)."""


class InsecureURLError(AuthorityError):
    """A URL of the CA that is not https:// (CVE-2025-54799)."""

    code = "authority-insecure"
    retryable = False


class TermsNotAgreedError(AuthorityError):
    """The operator has not agreed to the CA's terms of service."""

    code = "terms-not-agreed"
    retryable = False


class ExternalAccountRequiredError(AuthorityError):
    """The CA requires external account binding (EAB), and none is configured."""

    code = "binding-missing"
    retryable = False


class ProfileMissingError(AuthorityError):
    """The CA does not have the required profile."""

    code = "profile-missing"
    retryable = False


class ClientCertificateError(AuthorityError):
    """The client certificate for the CA cannot be used, or the CA refuses it (mutual TLS)."""

    code = "client-certificate"
    retryable = False


class DeadlineExceededError(AuthorityError):
    """The total deadline of an operation with the CA passed."""

    code = "authority-deadline"


class InterruptedOrderError(AuthorityError):
    """gatecert stopped during an order, which the next start resumes."""

    code = "interrupted"


class AuthorizationMismatchError(AuthorityError):
    """The CA requires authorization for a name that was not ordered; nothing was done."""

    code = "authorization-mismatch"


class RateLimitBudgetError(AuthorityError):
    """Another request would exceed the CA's rate limits; nothing was sent.

    Attributes:
        until: When it may be tried again, aware UTC.
    """

    code = "budget-spent"

    def __init__(self, message: str, *, until: datetime, fix: str = "") -> None:
        super().__init__(message, fix=fix)
        self.until = until


class OrderHeldError(StateError):
    """Other orders of the fleet go first, or the whole fleet is halted; nothing was sent.

    Attributes:
        until: When it may be tried again, aware UTC.
    """

    code = "order-held"
    retryable = True

    def __init__(self, message: str, *, until: datetime, fix: str = "") -> None:
        super().__init__(message, fix=fix)
        self.until = until


class ACMEError(AuthorityError):
    """The CA returned a problem document (RFC 8555 section 6.7, RFC 7807).

    Attributes:
        problem_type: The last part of ``urn:ietf:params:acme:error:…``, or the whole type URI.
        detail: The text of the CA, cleaned.
        subproblems: Pairs of identifier and text, cleaned.
        status: HTTP status code; 0 for a problem inside an order or authorization.
        retry_after: The earliest time for another attempt, aware UTC.
        algorithms: JWS algorithms that the CA accepts, if it rejected ours.
    """

    code = "acme"
    algorithms: tuple[str, ...] = ()

    def __init__(  # noqa: PLR0913 - a problem document has this many fields
        self,
        problem_type: str,
        detail: str,
        *,
        subproblems: Sequence[tuple[str, str]] = (),
        status: int = 0,
        retry_after: datetime | None = None,
        fix: str = "",
        authority: str = "",
    ) -> None:
        self.problem_type = clean(problem_type, 100)
        self.detail = clean(detail)
        self.subproblems = tuple((clean(who, 255), clean(what)) for who, what in subproblems)
        self.status = status
        self.retry_after = retry_after
        more = "".join(f"; {who}: {what}" for who, what in self.subproblems)
        super().__init__(
            f"{authority or 'the CA'} returned an error: {self.problem_type}: {self.detail}{more}",
            fix=fix,
        )


class ForbiddenKeyError(ACMEError):
    """The CA does not issue for this key, which may be compromised; another key may work."""

    code = "key-forbidden"


class RateLimitedError(ACMEError):
    """The CA requires a delay (``rateLimited``, HTTP 429 or 503 with Retry-After)."""

    code = "rate-limited"


class AccountMissingError(ACMEError):
    """The CA does not know the account (``accountDoesNotExist``)."""

    code = "account-missing"


class UserActionRequiredError(ACMEError):
    """The CA issues nothing until a person visits its page; ``fix`` has the URL.

    The reason is new terms of service (``userActionRequired``), or a name that the CA has paused.
    """

    code = "user-action-required"
    retryable = False


class ChallengeFailedError(ACMEError):
    """The CA did not accept a challenge response.

    Attributes:
        attempts: The failed challenge types by name.
    """

    code = "challenge-failed"
    attempts: tuple[FailedAttempt, ...] = ()


class LockoutError(GatecertError):
    """A change that would lock out users who can log in now."""

    code = "users-locked-out"


class DeploymentError(GatecertError):
    """The gateway does not serve the new certificate."""

    code = "deployment"
    retryable = True


class CopyError(DeploymentError):
    """A file of ``install.copy_to`` could not be written."""

    code = "copy-failed"


class ReloadError(DeploymentError):
    """The reload command failed, hung or could not be run.

    Attributes:
        output: The output of the command, cleaned and cut.
        ran: True if the command was started.
    """

    code = "reload-failed"

    def __init__(self, message: str, *, output: str = "", fix: str = "", ran: bool = False) -> None:
        self.output = clean(output)
        self.ran = ran
        super().__init__(f"{message}: {self.output}" if self.output else message, fix=fix)


class NotServedError(DeploymentError):
    """A handshake shows another certificate than the installed one."""

    code = "not-served"


class MixedCertificatesError(DeploymentError):
    """Some handshakes show the installed certificate, others show another one."""

    code = "mixed"
