"""CAA: which authorities a domain lets issue for a name (RFC 8659, RFC 8657). Pure.

What counts for a name is the record set at the name itself or, where that has none, at the nearest
domain above it (section 3, "tree climbing"); an alias is followed as for any record type, but the
climb goes on from the name. For a wildcard the climb starts below the asterisk, and ``issuewild``
properties, where there are any, count in place of ``issue`` (section 4.3).

Whoever cannot be looked up forbids nothing here: an authority may fail where we do, but it asks
from elsewhere, so that is no certainty. Unknown properties are ignored unless they are critical.
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
    """One CAA record (section 4.1)."""

    critical: bool
    tag: str
    value: str


@dataclass(frozen=True, slots=True)
class CaaAnswer:
    """What asking one domain for its CAA records brought.

    Attributes:
        failure: Why it could not be asked; empty when it could.
    """

    properties: tuple[Property, ...] = ()
    failure: str = ""


@dataclass(frozen=True, slots=True)
class CaaPolicy:
    """The record set that counts for a name.

    Attributes:
        name: A-labels, ``*.`` in front of a wildcard.
        domain: Where the record set stands, or the look-up failed; empty where there is none.
    """

    name: str
    domain: str = ""
    properties: tuple[Property, ...] = ()
    failure: str = ""


class CaaResolver(Protocol):
    """Looks up CAA records; ``resolve.dns.Resolver`` is the one that asks nameservers."""

    def look_up_caa(self, names: Sequence[str]) -> tuple[CaaPolicy, ...]:
        """What counts for each name, in the order of the names; never raises."""
        ...


@dataclass(frozen=True, slots=True)
class CaaRequest:
    """Who is going to ask for a certificate, and how.

    Attributes:
        identities: The authority's issuer domain names (RFC 8555 section 9.7.6); empty if unsaid.
        methods: The challenge types that may be used; empty if unknown.
        account_url: Empty if unknown.
    """

    identities: Collection[str] = ()
    methods: Collection[str] = ()
    account_url: str = ""


def domains_to_query(name: str) -> tuple[str, ...]:
    """The domains to ask, from the name up to its top-level domain (section 3)."""
    labels = name.removeprefix("*.").rstrip(".").split(".")
    return tuple(".".join(labels[start:]) for start in range(len(labels)))


def relevant_policy(name: str, answers: Mapping[str, CaaAnswer]) -> CaaPolicy:
    """What counts for a name, given the answers of every domain that `climb` names."""
    for domain in domains_to_query(name):
        answer = answers[domain]
        if answer.failure or answer.properties:
            return CaaPolicy(name, domain, answer.properties, answer.failure)
    return CaaPolicy(name)


def issuance_refusal(found: CaaPolicy, applicant: CaaRequest) -> str:
    """Why the authority must not issue for the name, on one line; empty where it may."""
    unknown = [each for each in found.properties if each.critical and each.tag not in KNOWN_TAGS]
    if unknown:
        return (
            f"the CAA records of {found.domain} have the critical property"
            f" {clean(unknown[0].tag, 40)}, which forbids every authority that does not know it"
        )
    values = _relevant(found)
    if values is None:
        return ""
    issuers = [parsed for parsed in map(_parse, values) if parsed is not None]
    where = f"the CAA records of {found.domain}"
    if not issuers:
        return f"{where} let nobody issue for {found.name}"
    known = {identity.lower() for identity in applicant.identities}
    if not known:
        return ""
    ours = [parameters for issuer, parameters in issuers if issuer in known]
    if not ours:
        allowed = ", ".join(dict.fromkeys(issuer for issuer, _ in issuers))
        return (
            f"{where} let only {clean(allowed, 200)} issue for {found.name}, and this authority is"
            f" {' or '.join(sorted(known))}"
        )
    refusals = [_parameters_refuse(parameters, applicant) for parameters in ours]
    return "" if "" in refusals else f"{where} {refusals[0]}"


def _relevant(found: CaaPolicy) -> list[str] | None:
    """The values that decide; None where the record set says nothing of issuing."""
    tags = ["issuewild", "issue"] if found.name.startswith("*.") else ["issue"]
    for tag in tags:
        values = [each.value for each in found.properties if each.tag == tag]
        if values:
            return values
    return None


def _parse(value: str) -> tuple[str, dict[str, str]] | None:
    """Issuer and parameters (section 4.2); None where nobody is named or it is ill-formed."""
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


def _parameters_refuse(parameters: Mapping[str, str], applicant: CaaRequest) -> str:
    """Why parameters keep the applicant out (RFC 8657); empty where they do not."""
    methods = parameters.get("validationmethods")
    if methods is not None and applicant.methods:
        allowed = {each.strip() for each in methods.split(",")}
        if allowed.isdisjoint(applicant.methods):
            return (
                f"let it issue only by {clean(methods, 100)}, and this gateway proves its name by"
                f" {', '.join(applicant.methods)}"
            )
    account = parameters.get("accounturi")
    if account is not None and applicant.account_url and account != applicant.account_url:
        return (
            f"let it issue only to the account {clean(account, 200)}, and ours is"
            f" {applicant.account_url}"
        )
    return ""
