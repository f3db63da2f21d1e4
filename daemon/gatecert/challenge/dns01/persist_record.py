"""The record of dns-persist-01 (draft-ietf-acme-dns-persist-00, as Pebble 2.10 reads it); pure.

::

    _validation-persist.<name> TXT
        "<issuer>; accounturi=<url>[; policy=wildcard][; persistUntil=<unix>]"

- The text is an ``issue-value`` (RFC 8659 section 4.2): a domain name, then ``tag=value``
  parameters behind semicolons, white space around each of them. A parameter that is empty (a
  semicolon at the end) or comes twice makes the text malformed.
- The issuer is exactly one of the names that the authority gives in the challenge
  (``issuer-domain-names``; before there is a challenge, ``caaIdentities`` of its directory):
  lower-case A-labels without a final dot.
- ``accounturi`` is exactly the account URL. Tags, and the value of ``policy``, may have any case.
- A wildcard needs ``policy=wildcard``. After ``persistUntil`` the record is no good any more.
- Parameters with other tags are ignored, and so are other records beside a good one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from gatecert.errors import clean

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

LABEL: Final = "_validation-persist"
MAX_STRING: Final = 255  # bytes of one character-string (RFC 1035 section 3.3)
MAX_ISSUERS: Final = 10

_WHITE_SPACE: Final = " \t"
_ISSUER: Final = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
_TAG: Final = re.compile(r"[A-Za-z0-9]+(-[A-Za-z0-9]+)*")
_VALUE: Final = re.compile(r"[\x21-\x3a\x3c-\x7e]*")


@dataclass(frozen=True, slots=True)
class PersistRecord:
    """A TXT record for a person to publish.

    Attributes:
        name: A-labels, no final dot.
    """

    name: str
    value: str

    @property
    def zone_line(self) -> str:
        """As it stands in a zone file, cut into strings that are short enough."""
        cut = range(0, len(self.value), MAX_STRING)
        strings = " ".join(f'"{self.value[start : start + MAX_STRING]}"' for start in cut)
        return f"{self.name}. IN TXT {strings}"


@dataclass(frozen=True, slots=True)
class ExpectedRecord:
    """What a record has to say.

    Attributes:
        domain: The name to show control over, without ``*.``.
        issuers: How the authority calls itself; any of them will do.
        account_url: The account that orders.
        wildcard: Whether the wildcard below the name is wanted.
    """

    domain: str
    issuers: tuple[str, ...]
    account_url: str
    wildcard: bool = False

    @property
    def record(self) -> PersistRecord:
        """The record that says so."""
        return self.record_until(None)

    def record_until(self, end: datetime | None) -> PersistRecord:
        """The record that says so until an instant, or for ever."""
        return make_persist_record(
            self.domain,
            self.issuers[0],
            self.account_url,
            wildcard=self.wildcard,
            persist_until=end,
        )


def expected_records(
    names: Iterable[str], issuers: tuple[str, ...], account_url: str
) -> tuple[ExpectedRecord, ...]:
    """What the records of all names have to say; a wildcard and the name above share one.

    Args:
        names: DNS names (A-labels), wildcards with ``*.`` in front.
        issuers: How the authority calls itself, at least one.
        account_url: The account that orders.
    """
    wildcards: dict[str, bool] = {}
    for name in names:
        domain = name.removeprefix("*.")
        wildcards[domain] = wildcards.get(domain, False) or domain != name
    return tuple(
        ExpectedRecord(domain, issuers, account_url, wildcard=wildcard)
        for domain, wildcard in wildcards.items()
    )


def validation_name(domain: str) -> str:
    """Where the record of a name stands; the one of a wildcard is that of the name it is below."""
    return f"{LABEL}.{domain.removeprefix('*.')}"


def make_persist_record(
    domain: str,
    issuer: str,
    account_url: str,
    *,
    wildcard: bool = False,
    persist_until: datetime | None = None,
) -> PersistRecord:
    """The record to publish so that an account can show control over a name from then on.

    Args:
        domain: The name (A-labels); ``*.`` in front of it counts as ``wildcard``.
        issuer: One of the names by which the authority calls itself.
        account_url: The account at that authority.
        wildcard: Whether it is good for the wildcard below the name as well.
        persist_until: After this the authority takes it no longer; aware.

    Raises:
        ValueError: The issuer or the account URL cannot stand in such a record.
    """
    if not _ISSUER.fullmatch(issuer):
        raise ValueError(f"{clean(issuer)!r} is no domain name of an issuer")
    if not account_url or not _VALUE.fullmatch(account_url):
        raise ValueError(f"{clean(account_url)!r} is no account URL")
    parts = [issuer, f"accounturi={account_url}"]
    if wildcard or domain.startswith("*."):
        parts.append("policy=wildcard")
    if persist_until is not None:
        parts.append(f"persistUntil={int(persist_until.timestamp())}")
    return PersistRecord(validation_name(domain), "; ".join(parts))


def record_problem(texts: Iterable[str], wanted: ExpectedRecord, *, now: datetime) -> str:
    """What is wrong with the TXT records at the name of a standing record; empty if nothing is.

    Args:
        texts: Every TXT record that stands there.
        wanted: What one of them has to say.
        now: Aware.
    """
    faults: list[str] = []
    for text in texts:
        if _issuer_of(text) not in wanted.issuers:
            continue
        complaint = _complaint(text, wanted, now)
        if not complaint:
            return ""
        faults.append(f'the record "{clean(text, 300)}" {complaint}')
    return faults[0] if faults else f"there is no record for {' or '.join(wanted.issuers)}"


def _complaint(text: str, wanted: ExpectedRecord, now: datetime) -> str:
    try:
        parameters = _parameters(text)
    except ValueError as error:
        return f"is malformed: {error}"
    account = parameters.get("accounturi", "")
    if account != wanted.account_url:
        return f"is for another account than {clean(wanted.account_url)}"
    if wanted.wildcard and parameters.get("policy", "").lower() != "wildcard":
        return "lacks policy=wildcard"
    return _expiry(parameters, now)


def _expiry(parameters: Mapping[str, str], now: datetime) -> str:
    until = parameters.get("persistuntil")
    if until is None:
        return ""
    if not re.fullmatch(r"[0-9]{1,12}", until):
        return "is malformed: persistUntil is no number of seconds since 1970"
    if now.timestamp() > int(until):
        return f"has ended at {datetime.fromtimestamp(int(until), UTC):%Y-%m-%dT%H:%M:%SZ}"
    return ""


def _issuer_of(text: str) -> str:
    return text.partition(";")[0].strip(_WHITE_SPACE)


def _parameters(text: str) -> dict[str, str]:
    """The parameters by their tags in lower case.

    Raises:
        ValueError: The text is no issue-value.
    """
    found: dict[str, str] = {}
    for part in _parts(text):
        tag, equals, value = (each.strip(_WHITE_SPACE) for each in part.partition("="))
        if not equals or not _TAG.fullmatch(tag) or not _VALUE.fullmatch(value):
            raise ValueError("a parameter is empty, or is not tag=value")
        if tag.lower() in found:
            raise ValueError(f"{clean(tag)} comes twice")
        found[tag.lower()] = value
    return found


def _parts(text: str) -> Sequence[str]:
    _, semicolon, rest = text.partition(";")
    return rest.split(";") if semicolon else ()
