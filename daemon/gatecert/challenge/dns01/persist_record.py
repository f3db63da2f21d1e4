"""Records of dns-persist-01 (draft-ietf-acme-dns-persist-00, as in Pebble 2.10). Pure.

::

    _validation-persist.<name> TXT
        "<issuer>; accounturi=<url>[; policy=wildcard][; persistUntil=<unix>]"

- The text is an ``issue-value`` (RFC 8659 section 4.2): a domain name and ``tag=value`` parameters,
  separated by semicolons and optional white space. An empty parameter (a semicolon at the end) or a
  repeated one makes the text malformed.
- The issuer is exactly one of the ``issuer-domain-names`` of the challenge (before there is a
  challenge, of the directory's ``caaIdentities``): lower-case A-labels without a final dot.
- ``accounturi`` is exactly the account URL. Tags and the value of ``policy`` ignore case.
- A wildcard needs ``policy=wildcard``. The record is invalid after ``persistUntil``.
- Parameters with other tags are ignored, and so are other records beside a valid one.
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
class ExpectedRecord:
    """A TXT record that the operator has to publish.

    Attributes:
        domain: The name to validate (A-labels), without ``*.``.
        issuers: The authority's issuer domain names, at least one; any of them is valid.
        account_url: The ACME account.
        wildcard: Whether the record has to be valid for the wildcard below the name.
    """

    domain: str
    issuers: tuple[str, ...]
    account_url: str
    wildcard: bool = False

    @property
    def name(self) -> str:
        """The name of the record: A-labels, no final dot."""
        return f"{LABEL}.{self.domain}"

    def value(self, until: datetime | None = None) -> str:
        """Return the value to publish.

        Args:
            until: The end of its validity, aware; None means no end.

        Raises:
            ValueError: A record cannot contain the issuer or the account URL.
        """
        issuer = self.issuers[0]
        if not _ISSUER.fullmatch(issuer):
            raise ValueError(f"{clean(issuer)!r} is not an issuer domain name")
        if not self.account_url or not _VALUE.fullmatch(self.account_url):
            raise ValueError(f"{clean(self.account_url)!r} is not an account URL")
        parts = [issuer, f"accounturi={self.account_url}"]
        if self.wildcard:
            parts.append("policy=wildcard")
        if until is not None:
            parts.append(f"persistUntil={int(until.timestamp())}")
        return "; ".join(parts)

    def zone_line(self, until: datetime | None = None) -> str:
        """Return the record as a line of a zone file, split into character-strings."""
        value = self.value(until)
        cut = range(0, len(value), MAX_STRING)
        strings = " ".join(f'"{value[start : start + MAX_STRING]}"' for start in cut)
        return f"{self.name}. IN TXT {strings}"


def expected_records(
    names: Iterable[str], issuers: tuple[str, ...], account_url: str
) -> tuple[ExpectedRecord, ...]:
    """Return the required records of names; a wildcard and the name above share one.

    Args:
        names: DNS names (A-labels), wildcards with ``*.`` in front.
        issuers: The authority's issuer domain names, at least one.
        account_url: The ACME account.
    """
    wildcards: dict[str, bool] = {}
    for name in names:
        domain = name.removeprefix("*.")
        wildcards[domain] = wildcards.get(domain, False) or domain != name
    return tuple(
        ExpectedRecord(domain, issuers, account_url, wildcard=wildcard)
        for domain, wildcard in wildcards.items()
    )


def record_problem(texts: Iterable[str], expected: ExpectedRecord, *, now: datetime) -> str:
    """Return what is wrong with the TXT records at the name; empty if one of them is valid.

    Args:
        texts: Every TXT record at the name.
        expected: The content that one of them has to have.
        now: Aware.
    """
    problems: list[str] = []
    for text in texts:
        if _issuer_of(text) not in expected.issuers:
            continue
        problem = _problem(text, expected, now)
        if not problem:
            return ""
        problems.append(f'the record "{clean(text, 300)}" {problem}')
    return problems[0] if problems else f"there is no record for {' or '.join(expected.issuers)}"


def _problem(text: str, expected: ExpectedRecord, now: datetime) -> str:
    try:
        parameters = _parameters(text)
    except ValueError as error:
        return f"is malformed: {error}"
    account = parameters.get("accounturi", "")
    if account != expected.account_url:
        return f"is for another account than {clean(expected.account_url)}"
    if expected.wildcard and parameters.get("policy", "").lower() != "wildcard":
        return "lacks policy=wildcard"
    return _expiry(parameters, now)


def _expiry(parameters: Mapping[str, str], now: datetime) -> str:
    until = parameters.get("persistuntil")
    if until is None:
        return ""
    if not re.fullmatch(r"[0-9]{1,12}", until):
        return "is malformed: persistUntil is not a number of seconds since 1970"
    if now.timestamp() > int(until):
        return f"expired at {datetime.fromtimestamp(int(until), UTC):%Y-%m-%dT%H:%M:%SZ}"
    return ""


def _issuer_of(text: str) -> str:
    return text.partition(";")[0].strip(_WHITE_SPACE)


def _parameters(text: str) -> dict[str, str]:
    """Return the parameters by their lower-case tags.

    Raises:
        ValueError: The text is not an issue-value.
    """
    found: dict[str, str] = {}
    for part in _parts(text):
        tag, equals, value = (each.strip(_WHITE_SPACE) for each in part.partition("="))
        if not equals or not _TAG.fullmatch(tag) or not _VALUE.fullmatch(value):
            raise ValueError("a parameter is empty or not tag=value")
        if tag.lower() in found:
            raise ValueError(f"{clean(tag)} is repeated")
        found[tag.lower()] = value
    return found


def _parts(text: str) -> Sequence[str]:
    _, semicolon, rest = text.partition(";")
    return rest.split(";") if semicolon else ()
