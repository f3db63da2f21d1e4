"""The Public Suffix List, with its private part: whose domain a name lies in."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from publicsuffixlist import PublicSuffixList


def registrable_domain(name: str) -> str:
    """The domain that somebody has registered, and that a name lies in.

    Below a service's suffix in the list (``duckdns.org``), that is the domain of its customer.

    Returns:
        The name itself where it lies in none, being a public suffix.
    """
    return _public_suffixes().privatesuffix(name) or name


def is_public_suffix(domain: str) -> bool:
    """Whether domains of different people lie below a domain; private zones are not in the list."""
    return _public_suffixes().publicsuffix(domain, accept_unknown=False) == domain


@cache
def _public_suffixes() -> PublicSuffixList:
    from publicsuffixlist import PublicSuffixList  # noqa: PLC0415 - only for whoever needs it

    return PublicSuffixList()
