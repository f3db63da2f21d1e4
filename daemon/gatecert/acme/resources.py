"""What an authority tells us (RFC 8555 section 7.1, RFC 9773 section 4.2), as plain values.

Reading is lenient where the RFC wants clients to be: unknown fields, challenge types, identifier
types and states are no errors (sections 6.1, 7.1.4 and 8), so an authority may grow without
breaking us. It is strict where we would act on nonsense: what has to be there and is not, or is of
another type, makes the answer unusable.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urljoin

from gatecert.model import Identifier, IdentifierType
from gatecert.store.tokens import TOKEN

PENDING = "pending"
READY = "ready"
PROCESSING = "processing"
VALID = "valid"
INVALID = "invalid"

PROBLEM_PREFIX = "urn:ietf:params:acme:error:"
LONGEST_RETRY_AFTER = 31 * 24 * 3600.0  # seconds; more would be a mistake that stops us for good


class UnusableResponseError(ValueError):
    """The answer is not what RFC 8555 says it is."""


@dataclass(frozen=True, slots=True)
class ProblemDocument:
    """An error in the authority's words (RFC 7807, RFC 8555 section 6.7).

    Attributes:
        type: Last part of ``urn:ietf:params:acme:error:…``, or the whole URI.
        identifier: Whom a subproblem is about, as text.
        instance: A URL for the person concerned (section 7.3.3).
        algorithms: JWS algorithms that the authority takes (section 6.2); empty if unsaid.
    """

    type: str
    detail: str
    identifier: str = ""
    instance: str = ""
    subproblems: tuple[ProblemDocument, ...] = ()
    algorithms: tuple[str, ...] = ()

    @classmethod
    def read(cls, value: object, *, depth: int = 0) -> ProblemDocument | None:
        """Read one, whatever is missing; None where there is no problem document at all."""
        if not isinstance(value, Mapping) or not ({"type", "detail", "title"} & value.keys()):
            return None
        nested = value.get("subproblems")
        some = nested[:100] if isinstance(nested, list) and not depth else []
        identifier = value.get("identifier")
        return cls(
            type=(_text(value, "type") or "about:blank").removeprefix(PROBLEM_PREFIX),
            detail=_text(value, "detail") or _text(value, "title") or "no reason given",
            identifier=_text(identifier, "value") if isinstance(identifier, Mapping) else "",
            instance=_text(value, "instance"),
            algorithms=_texts(value.get("algorithms")),
            subproblems=tuple(
                problem for each in some if (problem := cls.read(each, depth=depth + 1))
            ),
        )


@dataclass(frozen=True, slots=True)
class Directory:
    """Where an authority does what (section 7.1.1).

    Attributes:
        revoke_cert: Empty where the authority does not offer it, as are the next two.
        renewal_info: RFC 9773.
        profiles: Names and what the authority says of them.
        caa_identities: How the authority calls itself in CAA records (section 9.7.6).
    """

    new_nonce: str
    new_account: str
    new_order: str
    revoke_cert: str = ""
    key_change: str = ""
    renewal_info: str = ""
    terms_of_service: str = ""
    external_account_required: bool = False
    profiles: Mapping[str, str] = field(default_factory=dict)
    caa_identities: tuple[str, ...] = ()

    @classmethod
    def read(cls, value: object) -> Directory:
        """Read a directory object."""
        fields = _object(value, "directory")
        meta = fields.get("meta")
        meta = meta if isinstance(meta, Mapping) else {}
        profiles = meta.get("profiles")
        identities = meta.get("caaIdentities")
        return cls(
            new_nonce=_required(fields, "newNonce"),
            new_account=_required(fields, "newAccount"),
            new_order=_required(fields, "newOrder"),
            revoke_cert=_text(fields, "revokeCert"),
            key_change=_text(fields, "keyChange"),
            renewal_info=_text(fields, "renewalInfo"),
            terms_of_service=_text(meta, "termsOfService"),
            external_account_required=meta.get("externalAccountRequired") is True,
            profiles={str(name): str(text) for name, text in profiles.items()}
            if isinstance(profiles, Mapping)
            else {},
            caa_identities=tuple(each for each in identities if isinstance(each, str))
            if isinstance(identities, list)
            else (),
        )


@dataclass(frozen=True, slots=True)
class AccountObject:
    """An account, as the authority sees it (section 7.1.2).

    Attributes:
        status: ``valid``, ``deactivated`` or ``revoked``.
        contact: URLs.
    """

    status: str
    contact: tuple[str, ...] = ()

    @classmethod
    def read(cls, value: object) -> AccountObject:
        """Read an account object."""
        fields = _object(value, "account")
        return cls(_required(fields, "status"), _texts(fields.get("contact")))


@dataclass(frozen=True, slots=True)
class Order:
    """An order (section 7.1.3).

    Attributes:
        status: ``pending``, ``ready``, ``processing``, ``valid``, ``invalid``, or one not known.
        authorizations: URLs.
        finalize: URL, empty where this answer does not say; the next look at the order may.
        certificate: URL, empty until the order is valid, and where this answer does not say.
        retry_after: Seconds after which the authority wants to be asked again; None if unsaid.
        names: What the order is for, as the authority understood it; empty where it does not say.
    """

    url: str
    status: str
    authorizations: tuple[str, ...]
    finalize: str
    certificate: str = ""
    error: ProblemDocument | None = None
    retry_after: float | None = None
    names: frozenset[str] = frozenset()

    @classmethod
    def read(
        cls, value: object, *, url: str, base: str = "", retry_after: float | None = None
    ) -> Order:
        """Read an order object.

        Args:
            value: The answer's JSON.
            url: The order's own URL.
            base: Where the answer came from; relative URLs start there.
            retry_after: As in `Order`.
        """
        fields = _object(value, "order")
        if not url:
            raise UnusableResponseError("the order has no URL")
        return cls(
            url=url,
            status=_required(fields, "status"),
            authorizations=tuple(
                urljoin(base, each) for each in _texts(fields.get("authorizations"))
            ),
            finalize=_url(fields, "finalize", base),
            certificate=_url(fields, "certificate", base),
            error=ProblemDocument.read(fields.get("error")),
            retry_after=retry_after,
            names=_names(fields.get("identifiers")),
        )


@dataclass(frozen=True, slots=True)
class ChallengeOffer:
    """One way to prove control that the authority offers (section 7.1.5).

    Attributes:
        token: As sent; empty for types that have none. Not to be trusted before `has_safe_token`.
        issuer_domain_names: How the authority calls itself (dns-persist-01 only).
    """

    type: str
    url: str
    status: str
    token: str = ""
    error: ProblemDocument | None = None
    issuer_domain_names: tuple[str, ...] = ()

    @property
    def has_safe_token(self) -> bool:
        """Whether the token is base64url text of a length that can be kept.

        See section 8.3 and CVE-2026-40611.
        """
        return TOKEN.fullmatch(self.token) is not None

    @property
    def has_failed(self) -> bool:
        """Whether the authority was not convinced; it may wait for the client to ask once more."""
        return self.status == INVALID or (self.status == PENDING and self.error is not None)

    @property
    def is_stuck(self) -> bool:
        """Whether the authority was not convinced and says that it tries again by itself."""
        return self.status == PROCESSING and self.error is not None

    @classmethod
    def read(cls, value: object, *, base: str = "") -> ChallengeOffer | None:
        """Read a challenge object; None where it makes no sense to us, which is no error."""
        if not isinstance(value, Mapping) or not _text(value, "type") or not _text(value, "url"):
            return None
        return cls(
            type=_text(value, "type"),
            url=_url(value, "url", base),
            status=_text(value, "status") or PENDING,
            token=_text(value, "token"),
            error=ProblemDocument.read(value.get("error")),
            issuer_domain_names=_texts(value.get("issuer-domain-names")),
        )


@dataclass(frozen=True, slots=True)
class Authorization:
    """What has to be proven for one name (section 7.1.4).

    Attributes:
        identifier: Without ``*.``.
        wildcard: Whether it is for the wildcard below the name.
    """

    url: str
    identifier: Identifier
    status: str
    challenges: tuple[ChallengeOffer, ...]
    wildcard: bool = False

    @property
    def name(self) -> str:
        """What is to be proven, as people write it."""
        return f"*.{self.identifier}" if self.wildcard else str(self.identifier)

    def with_problem(self, problem: ProblemDocument) -> Authorization:
        """The same, the problem told for challenges that have failed without one."""
        if any(each.error is not None for each in self.challenges):
            return self
        told = [replace(each, error=problem) for each in self.challenges if each.status != VALID]
        return replace(self, challenges=tuple(told[:1]))

    @classmethod
    def read(cls, value: object, *, url: str) -> Authorization:
        """Read an authorization object."""
        fields = _object(value, "authorization")
        identifier = _object(fields.get("identifier"), "identifier")
        try:
            kind = IdentifierType(_required(identifier, "type"))
        except ValueError as error:
            raise UnusableResponseError(
                "the authorization is for no DNS name or address"
            ) from error
        offers = (ChallengeOffer.read(each, base=url) for each in _list(fields, "challenges"))
        return cls(
            url=url,
            identifier=Identifier(kind, _required(identifier, "value")),
            status=_required(fields, "status"),
            challenges=tuple(offer for offer in offers if offer is not None),
            wildcard=fields.get("wildcard") is True,
        )


@dataclass(frozen=True, slots=True)
class Download:
    """An issued certificate as it was downloaded, unchecked (section 7.4.2).

    Attributes:
        fullchain: PEM.
        alternates: URLs of the same certificate with other chains.
    """

    fullchain: bytes
    alternates: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SuggestedWindow:
    """When an authority would like a certificate to be renewed (RFC 9773 section 4.2).

    Attributes:
        retry_after: Seconds after which to ask again; None if unsaid.
    """

    start: datetime
    end: datetime
    explanation_url: str = ""
    retry_after: float | None = None

    @classmethod
    def read(cls, value: object, *, retry_after: float | None = None) -> SuggestedWindow:
        """Read a renewal info object."""
        fields = _object(value, "renewal information")
        window = _object(fields.get("suggestedWindow"), "suggestedWindow")
        return cls(
            start=_instant(window, "start"),
            end=_instant(window, "end"),
            explanation_url=_text(fields, "explanationURL"),
            retry_after=retry_after,
        )


def retry_after_seconds(headers: Mapping[str, str], now: datetime) -> float | None:
    """The Retry-After of an answer in seconds from now (RFC 9110 section 10.2.3).

    A date counts from the answer's own Date where there is one, so that a wrong clock on either
    side does no harm.
    """
    text = headers.get("Retry-After", "").strip()
    if not text:
        return None
    if text.isascii() and text.isdigit():
        seconds = float(text[:12])
    else:
        try:
            origin = _http_date(headers["Date"]) if headers.get("Date") else now
            seconds = (_http_date(text) - origin).total_seconds()
        except (ValueError, OverflowError):
            return None
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER)


def server_time(headers: Mapping[str, str]) -> datetime | None:
    """What time it was at the server when it answered (RFC 9110 section 6.6.1); None if unsaid.

    A cache on the way adds how old the answer is (RFC 9111 section 5.1).
    """
    try:
        age = float(headers.get("Age", "0")[:12])
        return _http_date(headers["Date"]) + timedelta(seconds=age)
    except (KeyError, ValueError, OverflowError):
        return None


def _http_date(text: str) -> datetime:
    when = parsedate_to_datetime(text)
    return when if when.tzinfo is not None else when.replace(tzinfo=UTC)


def _object(value: object, what: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise UnusableResponseError(f"the {what} is no JSON object")
    return value


def _text(fields: Mapping[str, Any], key: str) -> str:
    value = fields.get(key)
    return value if isinstance(value, str) else ""


def _url(fields: Mapping[str, Any], key: str, base: str) -> str:
    """A URL, absolute where ``base`` is; empty where there is none or it makes no sense."""
    text = _text(fields, key)
    try:
        return urljoin(base, text) if text else ""
    except ValueError:
        return ""


def _names(value: object) -> frozenset[str]:
    """The values of the identifiers in a list, in lower case."""
    some = value if isinstance(value, list) else []
    return frozenset(_text(each, "value").lower() for each in some if isinstance(each, Mapping))


def _texts(value: object) -> tuple[str, ...]:
    """The texts in a list; none where it is no list."""
    return tuple(each for each in value if isinstance(each, str)) if isinstance(value, list) else ()


def _required(fields: Mapping[str, Any], key: str) -> str:
    text = _text(fields, key)
    if not text:
        raise UnusableResponseError(f"{key} is missing")
    return text


def _list(fields: Mapping[str, Any], key: str) -> Sequence[Any]:
    value = fields.get(key)
    if not isinstance(value, list):
        raise UnusableResponseError(f"{key} is missing")
    return value


def _instant(fields: Mapping[str, Any], key: str) -> datetime:
    try:
        when = datetime.fromisoformat(_required(fields, key))
    except ValueError as error:
        raise UnusableResponseError(f"{key} is no instant") from error
    if when.tzinfo is None:
        raise UnusableResponseError(f"{key} has no time zone")
    try:
        return when.astimezone(UTC)
    except OverflowError as error:
        raise UnusableResponseError(f"{key} is beyond all time") from error
