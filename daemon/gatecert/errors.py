"""Every error that gatecert raises, as data.

::

    GatecertError
    ├── ConfigurationError            what the operator wrote; carries every problem found
    ├── WrongUsageError               a command that does not fit the configuration (exit 2)
    ├── StateError                    the state directory
    │   ├── DaemonRunningError            another gatecert holds it (exit 3)
    │   ├── LockTimeoutError          another gatecert is changing this gateway (exit 3)
    │   └── StorageError              unwritable, read-only or full
    ├── ResolutionError               the resolver gave no answer that can be used
    ├── CertificateError              a key, request, certificate or chain that is not sound
    ├── ChallengeError                a challenge could not be presented
    │   ├── AddressInUseError         somebody else listens where the responder must
    │   ├── ProviderNotContactedError     nothing was sent to a DNS provider or nameserver
    │   ├── RecordRefusedError        a DNS provider or nameserver will not change the zone
    │   └── RecordNotVisibleError     a nameserver does not answer with the record
    ├── AuthorityError                the certificate authority, or the way to it
    │   ├── AuthorityUnreachableError network, TLS or an answer that is no ACME
    │   │   └── AuthorityServerError  it answered that something of its own is broken
    │   ├── InsecureURLError          an http:// URL where only https:// is safe
    │   ├── TermsNotAgreedError       the operator has not agreed to the terms of service
    │   ├── ExternalAccountRequiredError       it makes accounts only for those it knows already
    │   ├── ProfileMissingError       it has no profile of that name
    │   ├── DeadlineExceededError     the total deadline of an operation passed
    │   ├── InterruptedOrderError     gatecert is leaving; the order can be resumed
    │   ├── RateLimitBudgetError          more would exceed the authority's limits; says until when
    │   └── ACMEError                 a problem document (RFC 8555 section 6.7)
    │       ├── RateLimitedError      carries retry_after
    │       ├── AccountMissingError   the authority does not know the account
    │       ├── UserActionRequiredError  a person has to visit the authority's page first
    │       └── ChallengeFailedError  a validation failed; carries the failures
    ├── LockoutError                  a change would lock users out (--force)
    └── DeploymentError               the certificate is there, but the gateway does not serve it
        ├── CopyError                 a file of install.copy_to could not be written
        ├── ReloadError               the reload command failed, hung or could not be run
        └── NotServedError            the handshake shows something else

Each message is one line written for an operator. ``fix`` says what to do, ``code`` is stable and
may be matched by programs, ``retryable`` tells whether the same attempt may succeed later with
nothing changed by a person.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

LONGEST_EXTERNAL_TEXT = 500


def clean(text: str, limit: int = LONGEST_EXTERNAL_TEXT) -> str:
    """Make text from outside (an authority, a server, a command) safe to show on one line.

    Control and other unprintable characters become spaces, runs of white space become one space,
    and the result is cut to ``limit`` characters.
    """
    printable = "".join(character if character.isprintable() else " " for character in text)
    single_line = " ".join(printable.split())
    return single_line if len(single_line) <= limit else single_line[: limit - 1] + "…"


class GatecertError(Exception):
    """The root of every expected error.

    Args:
        message: One line: what happened, where, and what it means for the gateway.
        fix: One line: what the operator can do about it. Empty when nothing needs doing.
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
    """One thing wrong with a configuration file.

    Attributes:
        where: ``file:line``, or the file alone where no line can be named.
        key: Dotted path of the key, empty where the whole file is meant.
        what: What is wrong and what would be right, on one line.
    """

    where: str
    key: str
    what: str

    def __str__(self) -> str:
        return (
            f"{self.where}: {self.key}: {self.what}" if self.key else f"{self.where}: {self.what}"
        )


class ConfigurationError(GatecertError):
    """The configuration cannot be used; every problem in it is listed."""

    code = "configuration"

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


class WrongUsageError(GatecertError):
    """A command was given something that does not fit the configuration."""

    code = "usage"


class StateError(GatecertError):
    """Something about the state directory."""

    code = "state"


class DaemonRunningError(StateError):
    """Another gatecert holds the state directory."""

    code = "state-held"


class LockTimeoutError(StateError):
    """Another gatecert kept a gateway's lock for longer than we may wait."""

    code = "gateway-busy"
    retryable = True


class StorageError(StateError):
    """The state directory cannot be read or written (permissions, read-only, full)."""

    code = "state-unwritable"
    retryable = True


class ResolutionError(GatecertError):
    """No usable answer from the resolver."""

    code = "resolution"
    retryable = True


class CertificateError(GatecertError):
    """A key, request, certificate or chain is not sound, or not the one that was asked for."""

    code = "certificate"


class InferiorCertificateError(CertificateError):
    """A certificate is sound, but the gateway is better off with the one that it has."""

    code = "worse-certificate"


class UntrustedRootError(InferiorCertificateError):
    """A chain ends in a root that nobody expects, and a trusted certificate is in use."""

    code = "untrusted-root"


class ShortLivedError(InferiorCertificateError):
    """A certificate ends within a day, and sooner than the one in use."""

    code = "short-lived"


@dataclass(frozen=True, slots=True)
class FailedAttempt:
    """One challenge type that did not work for one name.

    Attributes:
        name: As it stands in the certificate.
        kind: ``http-01`` …
        reason: Why, one line, cleaned.
    """

    name: str
    kind: str
    reason: str


class ChallengeError(GatecertError):
    """A challenge response could not be presented to the authority.

    Attributes:
        attempts: What was tried for which name, where that is known.
    """

    code = "challenge"
    retryable = True
    attempts: tuple[FailedAttempt, ...] = ()


class AddressInUseError(ChallengeError):
    """Another process listens on an address that a challenge responder needs."""

    code = "address-in-use"


class ProviderNotContactedError(ChallengeError):
    """A DNS provider, nameserver or command was not asked to change the zone: nothing changed."""


class RecordRefusedError(ChallengeError):
    """A DNS provider or nameserver answered that it will not change the zone: nothing changed."""

    code = "record-refused"


class RecordNotVisibleError(ChallengeError):
    """A nameserver of the zone does not answer with the record that the authority will look for."""

    code = "record-not-visible"


class AuthorityError(GatecertError):
    """The certificate authority, or the way to it."""

    code = "authority"
    retryable = True


class AuthorityUnreachableError(AuthorityError):
    """No answer, no trusted TLS, or an answer that is not ACME."""

    code = "authority-unreachable"


class AuthorityServerError(AuthorityUnreachableError):
    """The authority answered that something of its own is broken (HTTP 5xx)."""


class InsecureURLError(AuthorityError):
    """An authority's URL is not https:// (CVE-2025-54799)."""

    code = "authority-insecure"
    retryable = False


class TermsNotAgreedError(AuthorityError):
    """The operator has not agreed to the authority's terms of service."""

    code = "terms-not-agreed"
    retryable = False


class ExternalAccountRequiredError(AuthorityError):
    """The authority wants an external account binding, and none is configured."""

    code = "binding-missing"
    retryable = False


class ProfileMissingError(AuthorityError):
    """The authority does not have the profile that is required."""

    code = "profile-missing"
    retryable = False


class DeadlineExceededError(AuthorityError):
    """The total deadline of an operation with the authority passed."""

    code = "authority-deadline"


class InterruptedOrderError(AuthorityError):
    """gatecert is leaving in the middle of an order, which is resumed at the next start."""

    code = "interrupted"


class AuthorizationMismatchError(AuthorityError):
    """The authority wants control of a name to be proven that was not ordered; nothing was done."""

    code = "authorization-mismatch"


class RateLimitBudgetError(AuthorityError):
    """One more would exceed what the authority allows; nothing was sent.

    Attributes:
        until: From then on it may be tried, aware UTC.
    """

    code = "budget-spent"

    def __init__(self, message: str, *, until: datetime, fix: str = "") -> None:
        super().__init__(message, fix=fix)
        self.until = until


class ACMEError(AuthorityError):
    """The authority answered with a problem document (RFC 8555 section 6.7, RFC 7807).

    Attributes:
        problem_type: The last part of ``urn:ietf:params:acme:error:…``, or the whole type URI.
        detail: The authority's text, cleaned.
        subproblems: Pairs of identifier and text, cleaned.
        status: HTTP status code, 0 where the problem stood inside an order or authorization.
        retry_after: The earliest instant at which to try again, aware UTC.
        algorithms: JWS algorithms that the authority takes, where that is what it minds.
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
            f"{authority or 'the authority'} answered {self.problem_type}: {self.detail}{more}",
            fix=fix,
        )


class ForbiddenKeyError(ACMEError):
    """The authority does not issue for this key, which has leaked perhaps; another one may do."""

    code = "key-forbidden"


class RateLimitedError(ACMEError):
    """The authority asks us to wait (``rateLimited``, HTTP 429 or 503 with Retry-After)."""

    code = "rate-limited"


class AccountMissingError(ACMEError):
    """The authority does not know our account (``accountDoesNotExist``)."""

    code = "account-missing"


class UserActionRequiredError(ACMEError):
    """Nothing will be issued until a person has visited the authority's page; ``fix`` has its URL.

    Either new terms of service (``userActionRequired``), or a name that the authority has paused.
    """

    code = "user-action-required"
    retryable = False


class ChallengeFailedError(ACMEError):
    """The authority looked for a challenge response and did not accept what it found.

    Attributes:
        attempts: Which challenge types did not work for which names.
    """

    code = "challenge-failed"
    attempts: tuple[FailedAttempt, ...] = ()


class LockoutError(GatecertError):
    """A change would lock out users who can log in now."""

    code = "users-locked-out"


class DeploymentError(GatecertError):
    """The new certificate exists, but the gateway does not serve it."""

    code = "deployment"
    retryable = True


class CopyError(DeploymentError):
    """A file that some server insists on, beside ``live``, could not be written."""

    code = "copy-failed"


class ReloadError(DeploymentError):
    """The reload command failed, hung or could not be run.

    Attributes:
        output: What the command printed, cleaned and cut.
        ran: Whether it was started at all.
    """

    code = "reload-failed"

    def __init__(self, message: str, *, output: str = "", fix: str = "", ran: bool = False) -> None:
        self.output = clean(output)
        self.ran = ran
        super().__init__(f"{message}: {self.output}" if self.output else message, fix=fix)


class NotServedError(DeploymentError):
    """A handshake shows that another certificate is served than the installed one."""

    code = "not-served"


class MixedCertificatesError(DeploymentError):
    """Some handshakes show the installed certificate, and others another one."""

    code = "mixed"
