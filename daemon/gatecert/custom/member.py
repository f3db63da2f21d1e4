"""The member of a pair that this host is: each has a key and a certificate of its own. Pure.

A pair shares a hostname, and each host has its own common name (``primaryvpn``, ``secondaryvpn``,
both also ``vpn``). Both hosts may use the same configuration without ``member``; the command line
then names the member when it creates a CSR, and later the CSR identifies it.
"""

from __future__ import annotations

import difflib
from dataclasses import replace
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.x509.oid import NameOID

from gatecert.certificate.certificate_names import identifiers_of
from gatecert.errors import WrongUsageError
from gatecert.model import Identifier, IdentifierType, Member

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

    from gatecert.model import Target


def select_member(target: Target, wanted: str) -> Target:
    """Return the gateway as one of its members.

    Args:
        target: The gateway.
        wanted: The member; empty for the configured one.

    Raises:
        WrongUsageError: There is no such member, or this host is another one.
    """
    if not wanted or wanted == target.member:
        return target
    if not target.members:
        raise WrongUsageError(
            f"gateway {target.name} is a single host without members", fix="omit --member"
        )
    names = [member.name for member in target.members]
    if wanted not in names:
        near = difflib.get_close_matches(wanted, names, n=1)
        hint = f", did you mean {near[0]}" if near else ""
        raise WrongUsageError(
            f"gateway {target.name} has no member {wanted!r}{hint} (members: {', '.join(names)})"
        )
    if target.member:
        raise WrongUsageError(
            f"this host is member {target.member} of gateway {target.name}; keys never leave"
            f" the host that created them, so the command cannot act for member {wanted}",
            fix=f"run it on the host of {wanted}; if this is that host, change"
            f" gateways.{target.name}.member",
        )
    return _with_member(target, wanted)


def require_member(target: Target) -> None:
    """Check that the member of a pair is known.

    Raises:
        WrongUsageError: It is not.
    """
    if target.members and not target.member:
        options = " or ".join(f"--member {member.name}" for member in target.members)
        raise WrongUsageError(
            f"gateway {target.name} is a pair, and this host's member is not set",
            fix=f"add {options}, or set gateways.{target.name}.member",
        )


def common_name(target: Target) -> str:
    """Return the common name for a CSR: the member's own, or the hostname of a single host."""
    own = own_member(target)
    return own.common_name if own is not None else target.hostname


def own_member(target: Target) -> Member | None:
    """Return the member that this host is; None for a single host or an unknown member."""
    return next((member for member in target.members if member.name == target.member), None)


def member_of_request(target: Target, csr: bytes) -> Target:
    """Return the gateway as the member that a CSR is for, if none is configured."""
    if target.member or not target.members:
        return target
    request = x509.load_pem_x509_csr(csr)
    members = {member.common_name: member for member in target.members}
    # A name too long for a common name is in subjectAltName only, before any other's.
    named = (name.value for name in identifiers_of(request))
    for name in (*_common_names(request.subject), *named):
        if name in members:
            return _with_member(target, members[name].name)
    return target


def other_member(target: Target, certificate: Certificate) -> Member | None:
    """Return the member that a certificate is for, if it is not this host."""
    names = {name.value for name in identifiers_of(certificate)}
    names |= _common_names(certificate.subject)
    own = own_member(target)
    if own is not None and own.common_name in names:
        return None
    return next((each for each in target.members if each.common_name in names), None)


def _with_member(target: Target, name: str) -> Target:
    chosen = replace(target, member=name)
    own = Identifier(IdentifierType.DNS, common_name(chosen))
    first, *others = target.identifiers
    return replace(chosen, identifiers=tuple(dict.fromkeys((first, own, *others))))


def _common_names(subject: x509.Name) -> set[str]:
    return {
        str(attribute.value).lower()
        for attribute in subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    }
