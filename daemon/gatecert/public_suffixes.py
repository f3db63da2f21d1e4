"""Registrable domains by the Public Suffix List, including its private part."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from publicsuffixlist import PublicSuffixList


def registrable_domain(name: str) -> str:
    """Return the registrable domain of a name; a public suffix is returned as it is.

    Below a service's suffix in the list (``duckdns.org``) it is the domain of the customer.
    """
    return _public_suffixes().privatesuffix(name) or name


def is_public_suffix(domain: str) -> bool:
    """Check if different parties register domains below a domain, according to the list."""
    return _public_suffixes().publicsuffix(domain, accept_unknown=False) == domain


@cache
def _public_suffixes() -> PublicSuffixList:
    from publicsuffixlist import PublicSuffixList  # noqa: PLC0415 - only few commands need it

    return PublicSuffixList()
