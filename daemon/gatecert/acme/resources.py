"""ACME resources (RFC 8555 section 7.1, RFC 9773 section 4.2) as plain values.

Reading is lenient where the RFC requires it: unknown fields, challenge types, identifier types and
states are no errors (sections 6.1, 7.1.4 and 8), so a CA may add some without breaking us. It is
strict where gatecert would act on nonsense: a required field that is missing or has another type
makes the response unusable.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urljoin

from gatecert.http.fetcher import resolve_url
from gatecert.model import Identifier, IdentifierType
from gatecert.store.tokens import TOKEN

PENDING = "pending"
READY = "ready"
PROCESSING = "processing"
VALID = "valid"
INVALID = "invalid"

PROBLEM_PREFIX = "urn:ietf:params:acme:error:"


class UnusableResponseError(ValueError):
    """A response that does not conform to RFC 8555."""


@dataclass(frozen=True, slots=True)
class ProblemDocument:
    """A problem document (RFC 7807, RFC 8555 section 6.7).

    Attributes:
        type: Last part of ``urn:ietf:params:acme:error:…``, or the whole URI.
        identifier: The identifier of a subproblem, as text.
        instance: A URL for a person to visit (section 7.3.3).
        algorithms: JWS algorithms that the CA accepts (section 6.2); empty if not given.
    """

    type: str
    detail: str
    identifier: str = ""
    instance: str = ""
    subproblems: tuple[ProblemDocument, ...] = ()
    algorithms: tuple[str, ...] = ()

    @classmethod
    def read(cls, value: object, *, depth: int = 0) -> ProblemDocument | None:
        """Read one, whatever is missing; None if it is no problem document at all."""
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
    """A directory (section 7.1.1).

    Attributes:
        revoke_cert: Empty if the CA does not offer it, as are the next two.
        renewal_info: RFC 9773.
        profiles: Descriptions by name.
        caa_identities: The CA's issuer domain names in CAA records (section 9.7.6).
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
        profiles = profiles if isinstance(profiles, Mapping) else {}
        return cls(
            new_nonce=_required(fields, "newNonce"),
            new_account=_required(fields, "newAccount"),
            new_order=_required(fields, "newOrder"),
            revoke_cert=_text(fields, "revokeCert"),
            key_change=_text(fields, "keyChange"),
            renewal_info=_text(fields, "renewalInfo"),
            terms_of_service=_text(meta, "termsOfService"),
            external_account_required=meta.get("externalAccountRequired") is True,
            profiles={str(name): str(text) for name, text in profiles.items()},
            caa_identities=_texts(meta.get("caaIdentities")),
        )


@dataclass(frozen=True, slots=True)
class AccountObject:
    """An account (section 7.1.2).

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
        status: ``pending``, ``ready``, ``processing``, ``valid``, ``invalid``, or an unknown one.
        authorizations: URLs.
        finalize: URL; empty if this response omits it.
        certificate: URL; empty until the order is valid, or if this response omits it.
        retry_after: The response's Retry-After in seconds; None if not given.
        names: The identifiers of the order; empty if this response omits them.
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
            value: The response's JSON.
            url: The order's own URL.
            base: The response's URL, which relative URLs refer to.
            retry_after: See `Order`.
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
    """A challenge that the CA offers (section 7.1.5).

    Attributes:
        token: As sent, empty for types without one; check `has_safe_token` before use.
        issuer_domain_names: The CA's issuer domain names (dns-persist-01 only).
    """

    type: str
    url: str
    status: str
    token: str = ""
    error: ProblemDocument | None = None
    issuer_domain_names: tuple[str, ...] = ()

    @property
    def has_safe_token(self) -> bool:
        """True if the token is base64url text of a sane length (section 8.3, CVE-2026-40611)."""
        return TOKEN.fullmatch(self.token) is not None

    @property
    def has_failed(self) -> bool:
        """True if validation failed, even if the CA leaves the challenge pending for a retry."""
        return self.status == INVALID or (self.status == PENDING and self.error is not None)

    @property
    def is_stuck(self) -> bool:
        """True if a validation attempt failed and the CA retries by itself."""
        return self.status == PROCESSING and self.error is not None

    @classmethod
    def read(cls, value: object, *, base: str = "") -> ChallengeOffer | None:
        """Read a challenge object; None if it is malformed, which is no error."""
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
    """An authorization (section 7.1.4).

    Attributes:
        identifier: Without ``*.``.
        wildcard: True for the wildcard name below the identifier.
    """

    url: str
    identifier: Identifier
    status: str
    challenges: tuple[ChallengeOffer, ...]
    wildcard: bool = False

    @property
    def name(self) -> str:
        """The name to validate, with ``*.`` for a wildcard."""
        return f"*.{self.identifier}" if self.wildcard else str(self.identifier)

    def with_problem(self, problem: ProblemDocument) -> Authorization:
        """Return a copy with the problem on the first open challenge, unless one has an error."""
        if any(each.error is not None for each in self.challenges):
            return self
        failed = [replace(each, error=problem) for each in self.challenges if each.status != VALID]
        return replace(self, challenges=tuple(failed[:1]))

    @classmethod
    def read(cls, value: object, *, url: str) -> Authorization:
        """Read an authorization object."""
        fields = _object(value, "authorization")
        identifier = _object(fields.get("identifier"), "identifier")
        try:
            kind = IdentifierType(_required(identifier, "type"))
        except ValueError as error:
            raise UnusableResponseError(
                "the authorization is for neither a DNS name nor an IP address"
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
    """An issued certificate as downloaded, unchecked (section 7.4.2).

    Attributes:
        fullchain: PEM.
        alternates: URLs of alternate chains.
    """

    fullchain: bytes
    alternates: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SuggestedWindow:
    """The suggested renewal window of a certificate (RFC 9773 section 4.2).

    Attributes:
        retry_after: The response's Retry-After in seconds; None if not given.
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


def _object(value: object, what: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise UnusableResponseError(f"the {what} is not a JSON object")
    return value


def _text(fields: Mapping[str, Any], key: str) -> str:
    value = fields.get(key)
    return value if isinstance(value, str) else ""


def _url(fields: Mapping[str, Any], key: str, base: str) -> str:
    """Return a URL, absolute if ``base`` is; empty if there is none or it is malformed."""
    text = _text(fields, key)
    return (resolve_url(base, text) or "") if text else ""


def _names(value: object) -> frozenset[str]:
    """Return the values of the identifiers in a list, in lower case."""
    some = value if isinstance(value, list) else []
    return frozenset(_text(each, "value").lower() for each in some if isinstance(each, Mapping))


def _texts(value: object) -> tuple[str, ...]:
    """Return the strings in a list; none if it is no list."""
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
        raise UnusableResponseError(f"{key} is not a timestamp") from error
    if when.tzinfo is None:
        raise UnusableResponseError(f"{key} has no time zone")
    try:
        return when.astimezone(UTC)
    except OverflowError as error:
        raise UnusableResponseError(f"{key} is out of range") from error
