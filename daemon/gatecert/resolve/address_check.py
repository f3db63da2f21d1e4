"""Comparison of the addresses of a name with the gateway's own. Pure.

``resolve.preflight`` looks up; this module compares and describes the result. Each ``detail`` is
one line that names every wrong address, the expected addresses and the remedy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatecert.model import NameResolution, ResolutionKind
from gatecert.resolve.gateway_addresses import is_internal, is_public
from gatecert.resolve.lookup import LookupStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatecert.resolve.gateway_addresses import GatewayAddresses
    from gatecert.resolve.lookup import LookupResult

MAX_ADDRESSES_SHOWN = 4


def check_name(lookup: LookupResult, addresses: GatewayAddresses) -> NameResolution:
    """Compare the result of looking up a name with the gateway's addresses.

    A wrong address outweighs the failure of the other family, because it has to be corrected.
    """
    wrong = tuple(each for each in lookup.addresses if not addresses.accepts(each))
    if wrong:
        kind, detail = ResolutionKind.ELSEWHERE, _describe_wrong(lookup, wrong, addresses)
    elif lookup.status is not LookupStatus.ADDRESSES:
        kind, detail = ResolutionKind(lookup.status.value), _describe_failure(lookup, addresses)
    elif all(addresses.owns(each) for each in lookup.addresses):
        kind = ResolutionKind.HERE
        detail = f"{lookup.name} resolves to {_listed(lookup.addresses)}, this gateway"
    else:
        kind, detail = ResolutionKind.BEHIND_NAT, _describe_assumed(lookup, addresses)
    warning = _describe_unknown(lookup) if kind.is_here and lookup.unknown else ""
    return NameResolution(
        name=lookup.name,
        kind=kind,
        answers=lookup.addresses,
        wrong=wrong,
        time_to_live=lookup.time_to_live,
        detail=f"{detail}; {warning}" if warning else detail,
        warning=warning,
    )


def check_address(address: str, addresses: GatewayAddresses) -> NameResolution:
    """Compare an IP address identifier with the gateway's addresses."""
    if addresses.owns(address):
        kind, detail = ResolutionKind.HERE, f"{address} is an address of this gateway"
    elif addresses.accepts_unverified(address):
        kind = ResolutionKind.BEHIND_NAT
        detail = f"{address} cannot be checked: this gateway has only private addresses"
    else:
        kind = ResolutionKind.ELSEWHERE
        detail = (
            f"{address} is not an address of this gateway{_expectation(addresses)}; "
            "remove it from alternative_names or list it under addresses"
        )
    wrong = (address,) if kind is ResolutionKind.ELSEWHERE else ()
    return NameResolution(address, kind, answers=(address,), wrong=wrong, detail=detail)


# --------------------------------------------------------------------------- descriptions


def _describe_wrong(lookup: LookupResult, wrong: Sequence[str], addresses: GatewayAddresses) -> str:
    verb = "is" if len(wrong) == 1 else "are"
    found = f"{lookup.name} {_with_types(wrong)} {verb} not"
    what = "an address" if len(wrong) == 1 else "addresses"
    text = f"{found} {what} of this gateway{_expectation(addresses)}"
    if addresses.behind_nat and not any(is_public(each) for each in wrong):
        text = f"{found} public, so no CA can connect"
    if all(is_internal(each) for each in wrong):
        return f"{text}; {_describe_internal(lookup)}"
    if addresses.behind_nat and not any(is_public(each) for each in wrong):
        return f"{text}; publish the address at which this gateway is reached from outside"
    if any(":" in each for each in wrong):
        text += ": CAs prefer IPv6, so validation would fail"
    return f"{text}; correct or remove it in DNS, or list it under the gateway's addresses"


def _describe_internal(lookup: LookupResult) -> str:
    """Describe the remedy for internal addresses, which public DNS need not contain."""
    outside = "set resolver.nameservers to nameservers outside this network"
    if lookup.hosts_lines:
        return (
            f"the address comes from {_listed(lookup.hosts_lines)}, a file that"
            f" {lookup.nameservers} answers from and no CA sees: remove the name from that line,"
            f" or {outside}"
        )
    nameserver = lookup.nameservers or "the nameserver"
    return (
        f"{nameserver} may answer differently inside this network than public DNS does"
        f" (systemd-resolved, split-horizon DNS): {outside}, or, if public DNS gives the same"
        " address, publish the address at which this gateway is reached from outside"
    )


def _describe_unknown(lookup: LookupResult) -> str:
    return (
        f"not every record of {lookup.name} could be looked up: {lookup.unknown}; orders are still"
        " placed, but the CA may fail at the same record: check the zone at its DNS provider"
    )


def _describe_failure(lookup: LookupResult, addresses: GatewayAddresses) -> str:
    address = _listed(addresses.expected) or "the gateway's public address"
    reason = f": {lookup.detail}" if lookup.detail else ""
    match lookup.status:
        case LookupStatus.NO_SUCH_NAME:
            text = f"{lookup.name} does not exist in DNS (NXDOMAIN){reason}"
            return f"{text}; check the dynamic-DNS client, or create it for {address}"
        case LookupStatus.NO_ADDRESS:
            text = f"{lookup.name} exists in DNS but has no A or AAAA record{reason}"
            return f"{text}; check the dynamic-DNS client, or add one for {address}"
        case LookupStatus.TIMEOUT:
            text = f"{lookup.name} could not be looked up in time{reason}"
            return f"{text}; check the network and resolver.nameservers"
        case _:
            text = f"{lookup.name} could not be looked up{reason}"
            return f"{text}; check the zone at its DNS provider and resolver.nameservers"


def _describe_assumed(lookup: LookupResult, addresses: GatewayAddresses) -> str:
    private = "private IPv4 addresses" if addresses.expected else "private addresses"
    return (
        f"{lookup.name} resolves to {_listed(lookup.addresses)}, assumed to be this gateway, which "
        f"has only {private}; list its public addresses under addresses to have them checked"
    )


def _expectation(addresses: GatewayAddresses) -> str:
    own = list(addresses.expected)
    if addresses.behind_nat:
        own.append("a public IPv4 address" if own else "a public address")
    return f" (expected {_listed(own, ' or ')})"


def _with_types(addresses: Sequence[str]) -> str:
    return _listed([f"{'AAAA' if ':' in each else 'A'} {each}" for each in addresses])


def _listed(items: Sequence[str], last: str = " and ") -> str:
    """Return ``a``, ``a and b`` or ``a, b and c``; a long list is cut."""
    shown = list(items[:MAX_ADDRESSES_SHOWN])
    if len(items) > len(shown):
        shown.append(f"{len(items) - len(shown)} more")
        last = " and "
    return last.join([", ".join(shown[:-1]), shown[-1]]) if len(shown) > 1 else "".join(shown)
