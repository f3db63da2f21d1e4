"""Which host of a pair this is: each has a key and a certificate of its own. Pure.

A pair shares a hostname and has one common name a host (``primaryvpn``, ``secondaryvpn``, both also
``vpn``). Both hosts may be given the same configuration; then ``member`` is left out of it, and
named on the command line where a request is made. From then on the request tells.
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
    """The gateway as one of its members sees it.

    Args:
        target: The gateway.
        wanted: The member; empty for what the configuration says.

    Raises:
        WrongUsageError: There is no such member, or this host is another one.
    """
    if not wanted or wanted == target.member:
        return target
    if not target.members:
        raise WrongUsageError(
            f"gateway {target.name} is a single host: it has no members", fix="leave --member out"
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
            f"this host is member {target.member} of gateway {target.name}, and keys never leave"
            f" the host that made them: nothing can be done here for member {wanted}",
            fix=f"run it on the host of {wanted}; if this is that host, change"
            f" gateways.{target.name}.member",
        )
    return _with_member(target, wanted)


def require_member(target: Target) -> None:
    """Refuse to go on where it is open which host of a pair this is.

    Raises:
        WrongUsageError: It is.
    """
    if target.members and not target.member:
        options = " or ".join(f"--member {member.name}" for member in target.members)
        raise WrongUsageError(
            f"gateway {target.name} is a pair, and nothing says which of its hosts this is",
            fix=f"give {options}, or set gateways.{target.name}.member",
        )


def common_name(target: Target) -> str:
    """The common name of a request: the member's own, or the hostname of a single host."""
    own = own_member(target)
    return own.common_name if own is not None else target.hostname


def own_member(target: Target) -> Member | None:
    """The member that this host is; None for a single host, or where it is open."""
    return next((member for member in target.members if member.name == target.member), None)


def member_of_request(target: Target, csr: bytes) -> Target:
    """The gateway as the member that a request was made for, where the configuration is silent."""
    if target.member or not target.members:
        return target
    request = x509.load_pem_x509_csr(csr)
    members = {member.common_name: member for member in target.members}
    # A name that is too long for a common name stands in subjectAltName only, before any other's.
    named = (name.value for name in identifiers_of(request))
    for name in (*_common_names(request.subject), *named):
        if name in members:
            return _with_member(target, members[name].name)
    return target


def other_member(target: Target, certificate: Certificate) -> Member | None:
    """The member that a certificate is plainly for, if that is not this host."""
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
