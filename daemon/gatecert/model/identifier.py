"""Names and addresses in certificates."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class IdentifierType(StrEnum):
    """ACME identifier types (RFC 8555 section 9.7.7, RFC 8738 for IP addresses)."""

    DNS = "dns"
    IP = "ip"


@dataclass(frozen=True, slots=True, order=True)
class Identifier:
    """A DNS name or IP address in a certificate.

    Attributes:
        type: DNS name or IP address.
        value: Lower-case A-labels without a trailing dot (``*.`` in front of a wildcard), or the
            canonical text of an address.
    """

    type: IdentifierType
    value: str

    @property
    def is_wildcard(self) -> bool:
        """True for a wildcard DNS name."""
        return self.value.startswith("*.")

    def __str__(self) -> str:
        return self.value
