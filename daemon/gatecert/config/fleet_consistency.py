"""Checks across the keys of ``fleet``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatecert.config.configuration_finding import Finding
from gatecert.config.schema.rate_limit_settings import limit_text
from gatecert.model import RateLimit
from gatecert.model.fleet import LONGEST_PERIOD

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Sequence

    from gatecert.config.configuration_finding import Location
    from gatecert.config.schema import Configuration, IssueSettings

HOSTS: Location = ("fleet", "database", "hosts")
SEALING_KEYS: Location = ("fleet", "sealing_keys")
ISSUE: Location = ("fleet", "issue")
DNS_01: Location = ("challenges", "dns-01")


def findings(configuration: Configuration) -> Iterator[Finding]:
    """Yield the errors in keys that are valid on their own."""
    fleet = configuration.fleet
    if fleet is None:
        return
    if not fleet.database.hosts:
        yield Finding(HOSTS, "is empty; write the servers, such as [db1.example.com]")
    if not fleet.sealing_keys:
        what = "is empty; private keys are sealed with it, so write at least one file"
        yield Finding(SEALING_KEYS, what)
    yield from _repeated(HOSTS, fleet.database.hosts)
    yield from _repeated(SEALING_KEYS, fleet.sealing_keys)
    yield from _periods(configuration)
    if fleet.issue is not None:
        yield from _issue(fleet.issue, configuration)


def _issue(issue: IssueSettings, configuration: Configuration) -> Iterator[Finding]:
    """Check that orders for gateways in the field can be placed."""
    if not issue.domains:
        what = "is empty; write the domains below which the gateways are, such as [ddns.example]"
        yield Finding((*ISSUE, "domains"), what)
    yield from _repeated((*ISSUE, "domains"), issue.domains)
    if not configuration.authorities:
        yield Finding(ISSUE, "requires a CA; write one below authorities", (("authorities",),))
    elif issue.authority is not None and issue.authority not in configuration.authorities:
        known = ", ".join(configuration.authorities)
        yield Finding((*ISSUE, "authority"), f"is no key of authorities; write one of {known}")
    if configuration.challenges.dns_01 is None:
        what = "requires challenges.dns-01, by which the names are validated"
        yield Finding(ISSUE, what, (DNS_01,))


def _periods(configuration: Configuration) -> Iterator[Finding]:
    """Check that the database keeps requests for as long as a limit counts them."""
    for name, authority in configuration.authorities.items():
        for key, limit in authority.limits:
            if isinstance(limit, RateLimit) and limit.period > LONGEST_PERIOD:
                what = (
                    f"{limit_text(limit)} counts requests for longer than the database of a fleet "
                    f"keeps them, {LONGEST_PERIOD.days}d; write a shorter period"
                )
                yield Finding(("authorities", name, "limits", key), what)


def _repeated(where: Location, items: Sequence[Hashable]) -> Iterator[Finding]:
    """Check that nothing is written twice."""
    for index, item in enumerate(items):
        first = items.index(item)
        if first < index:
            what = f"is the same as number {first + 1} of the list; leave one of them out"
            yield Finding((*where, index), what)
