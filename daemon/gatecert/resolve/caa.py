"""CAA records: the CAs that may issue for a name (RFC 8659, RFC 8657). Pure.

The relevant record set of a name is the one at the name itself or, if there is none, at the nearest
domain above it (section 3, "tree climbing"). An alias is followed as for any record type, but tree
climbing continues from the name. For a wildcard it starts below the asterisk, and ``issuewild``
properties, if there are any, replace ``issue`` (section 4.3).

A failed look-up forbids nothing: the authority queries from elsewhere and may succeed. Unknown
properties are ignored unless they are critical.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from gatecert.errors import clean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CRITICAL = 0x80  # section 4.1, bit 0 of the flags
KNOWN_TAGS = frozenset(
    {"issue", "issuewild", "iodef", "contactemail", "contactphone", "issuemail", "issuevmc"}
)  # https://www.iana.org/assignments/pkix-parameters, CAA properties

_LABEL = "[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
_ISSUER = re.compile(rf"(?:{_LABEL})(?:\.{_LABEL})*", re.IGNORECASE)
_PARAMETER = re.compile(r"(?P<tag>[A-Za-z0-9][A-Za-z0-9-]*)\s*=\s*(?P<value>[!-:<-~]*)")


@dataclass(frozen=True, slots=True, order=True)
class Property:
    """A CAA record (section 4.1)."""

    critical: bool
    tag: str
    value: str


@dataclass(frozen=True, slots=True)
class CaaAnswer:
    """The CAA records of one domain.

    Attributes:
        failure: Why they could not be looked up; empty if they could.
    """

    properties: tuple[Property, ...] = ()
    failure: str = ""


@dataclass(frozen=True, slots=True)
class CaaPolicy:
    """The relevant record set of a name.

    Attributes:
        name: A-labels, ``*.`` in front of a wildcard.
        domain: The domain of the record set or of the failed look-up; empty if there is none.
    """

    name: str
    domain: str = ""
    properties: tuple[Property, ...] = ()
    failure: str = ""


class CaaResolver(Protocol):
    """Looks up CAA records; implemented by ``resolve.resolver.Resolver``."""

    def look_up_caa(self, names: Sequence[str]) -> tuple[CaaPolicy, ...]:
        """Look up the CAA records relevant to names, in their order; never raises."""
        ...


@dataclass(frozen=True, slots=True)
class CaaRequest:
    """The parameters of an order that CAA records can restrict.

    Attributes:
        identities: The CA's issuer domain names (RFC 8555 section 9.7.6); empty if unknown.
        methods: The challenge types that may be used; empty if unknown.
        account_url: Empty if unknown.
    """

    identities: Collection[str] = ()
    methods: Collection[str] = ()
    account_url: str = ""


def domains_to_query(name: str) -> tuple[str, ...]:
    """Return the domains from a name up to its top-level domain (section 3)."""
    labels = name.removeprefix("*.").rstrip(".").split(".")
    return tuple(".".join(labels[start:]) for start in range(len(labels)))


def relevant_policy(name: str, answers: Mapping[str, CaaAnswer]) -> CaaPolicy:
    """Return the relevant record set of a name from the answers for its `domains_to_query`."""
    for domain in domains_to_query(name):
        answer = answers[domain]
        if answer.failure or answer.properties:
            return CaaPolicy(name, domain, answer.properties, answer.failure)
    return CaaPolicy(name)


def issuance_refusal(found: CaaPolicy, request: CaaRequest) -> str:
    """Return why the CA must not issue for the name, as one line; empty if it may."""
    unknown = [each for each in found.properties if each.critical and each.tag not in KNOWN_TAGS]
    if unknown:
        return (
            f"the CAA records of {found.domain} contain the critical property"
            f" {clean(unknown[0].tag, 40)}, so a CA that does not know it must not issue"
        )
    values = _relevant(found)
    if values is None:
        return ""
    issuers = [parsed for parsed in map(_parse, values) if parsed is not None]
    where = f"the CAA records of {found.domain}"
    if not issuers:
        return f"{where} allow no CA to issue for {found.name}"
    identities = {identity.lower() for identity in request.identities}
    if not identities:
        return ""
    matching = [parameters for issuer, parameters in issuers if issuer in identities]
    if not matching:
        allowed = ", ".join(dict.fromkeys(issuer for issuer, _ in issuers))
        return (
            f"{where} allow only {clean(allowed, 200)} to issue for {found.name}, but this CA is"
            f" {' or '.join(sorted(identities))}"
        )
    refusals = [_parameter_refusal(parameters, request) for parameters in matching]
    return "" if "" in refusals else f"{where} {refusals[0]}"


def _relevant(found: CaaPolicy) -> list[str] | None:
    """Return the values that restrict issuance; None if no property does."""
    tags = ["issuewild", "issue"] if found.name.startswith("*.") else ["issue"]
    for tag in tags:
        values = [each.value for each in found.properties if each.tag == tag]
        if values:
            return values
    return None


def _parse(value: str) -> tuple[str, dict[str, str]] | None:
    """Parse issuer and parameters (section 4.2); None if there is no issuer or it is malformed."""
    issuer, *rest = (part.strip() for part in value.split(";"))
    if not _ISSUER.fullmatch(issuer):
        return None
    parameters: dict[str, str] = {}
    for part in filter(None, rest):
        match = _PARAMETER.fullmatch(part)
        if match is None:
            return None
        parameters[match["tag"].lower()] = match["value"]
    return issuer.lower(), parameters


def _parameter_refusal(parameters: Mapping[str, str], request: CaaRequest) -> str:
    """Return why parameters forbid the request (RFC 8657); empty if they allow it."""
    methods = parameters.get("validationmethods")
    if methods is not None and request.methods:
        allowed = {each.strip() for each in methods.split(",")}
        if allowed.isdisjoint(request.methods):
            return (
                f"allow this CA to issue only by {clean(methods, 100)}, but this gateway uses"
                f" {', '.join(request.methods)}"
            )
    account = parameters.get("accounturi")
    if account is not None and request.account_url and account != request.account_url:
        return (
            f"allow this CA to issue only to the account {clean(account, 200)}, but this account"
            f" is {request.account_url}"
        )
    return ""
