"""Dynamic-DNS services that speak the dyndns2 protocol: their URLs and what differs between them.

The protocol (help.dyn.com, "Remote Access API") is one GET request with ``hostname`` and ``myip``.
Services disagree about a second address:

- ``TOGETHER``: both addresses in ``myip``, separated by a comma.
- ``APART``: one request for each address.
- ``NAMED``: ``myip`` and ``myipv6``, each an address, or ``no`` to leave the record alone; without
  one of them the service takes the address of the connection (Dynu, "IP Update Protocol").
- ``DESEC``: ``myipv4`` and ``myipv6``; a family that is not named is removed, so it is given,
  ``preserve``, or empty, which removes it (desec.readthedocs.io, "IP Update API").
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class UpdateServiceName(StrEnum):
    """The short names of services."""

    DESEC = "desec"
    DYN = "dyn"
    DYNU = "dynu"
    HURRICANE_ELECTRIC = "he"
    NO_IP = "noip"
    STRATO = "strato"


class AddressParameters(StrEnum):
    """The ways in which services take two addresses."""

    TOGETHER = "together"
    APART = "apart"
    NAMED = "named"
    DESEC = "desec"


@dataclass(frozen=True, slots=True)
class UpdateService:
    """A service.

    Attributes:
        url: Its URL for updates; https.
        parameters: How it takes two addresses.
        removes: Whether it can remove the record of one family.
    """

    url: str
    parameters: AddressParameters = AddressParameters.TOGETHER
    removes: bool = False


UPDATE_SERVICES: Final = {
    UpdateServiceName.DESEC: UpdateService(
        "https://update.dedyn.io/", AddressParameters.DESEC, removes=True
    ),
    UpdateServiceName.DYN: UpdateService("https://members.dyndns.org/v3/update"),
    UpdateServiceName.DYNU: UpdateService(
        "https://api.dynu.com/nic/update", AddressParameters.NAMED
    ),
    UpdateServiceName.HURRICANE_ELECTRIC: UpdateService(
        "https://dyn.dns.he.net/nic/update", AddressParameters.APART
    ),
    UpdateServiceName.NO_IP: UpdateService("https://dynupdate.no-ip.com/nic/update"),
    UpdateServiceName.STRATO: UpdateService("https://dyndns.strato.com/nic/update"),
}
