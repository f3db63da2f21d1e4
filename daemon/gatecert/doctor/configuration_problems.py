"""All that `gatecert check` and `gatecert doctor` find in a valid configuration.

The daemon starts with such a configuration: what does not depend on these settings works.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gatecert.certificate.trust import read_roots
from gatecert.certificate.trust_anchor import can_anchor
from gatecert.challenge.dns01 import lexicon_catalogue
from gatecert.config import existence, feasibility
from gatecert.config.configuration_finding import Finding
from gatecert.doctor import client_certificate_files, exposure, reload_commands
from gatecert.errors import Problem
from gatecert.store.directory_walk import refusal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from gatecert.config.document import Document
    from gatecert.config.schema import Configuration


@dataclass(frozen=True, slots=True)
class ConfigurationProblems:
    """The problems of a valid configuration, each in the order of its lines.

    Attributes:
        missing: Things that are named and do not exist.
        unworkable: Settings that cannot work.
    """

    missing: tuple[Problem, ...] = ()
    unworkable: tuple[Problem, ...] = ()


def configuration_problems(
    document: Document, configuration: Configuration, now: datetime
) -> ConfigurationProblems:
    """Return everything that cannot work as it is configured.

    Args:
        document: The configuration as written.
        configuration: The same, valid.
        now: The time.
    """
    missing = document.all_problems(existence.findings(configuration))
    unworkable = document.all_problems(
        [
            *feasibility.findings(configuration, document.plain()),
            *exposure.shared_secrets(configuration),
            *_dns_providers(configuration),
            *reload_commands.findings(configuration),
            *_unusable_roots(configuration, now),
            *client_certificate_files.findings(configuration, now),
            *_fleet(configuration, now),
            *_refused_directories(configuration),
        ]
    )
    return ConfigurationProblems(
        tuple(document.in_order(missing)), tuple(document.in_order(unworkable))
    )


def _dns_providers(configuration: Configuration) -> Iterator[Finding]:
    """Find DNS providers that do not exist, and options that they do not have."""
    dns_01 = configuration.challenges.dns_01
    if dns_01 is not None:
        yield from lexicon_catalogue.findings(("challenges", "dns-01"), dns_01)
    for name, gateway in configuration.gateways.items():
        if gateway.ddns is not None:
            yield from lexicon_catalogue.findings(("gateways", name, "ddns"), gateway.ddns)


def _fleet(configuration: Configuration, now: datetime) -> Iterator[Finding]:
    """Find a login to the fleet's database, and sealing keys, that cannot be used."""
    if configuration.fleet is not None:
        from gatecert.doctor import fleet_files  # noqa: PLC0415 - large libraries

        yield from fleet_files.findings(configuration.fleet, now)


def _unusable_roots(configuration: Configuration, now: datetime) -> Iterator[Finding]:
    """Find trusted roots that would make every certificate fail: expired ones, or no CAs."""
    for name, authority in configuration.authorities.items():
        if authority.trusted_roots is None:
            continue
        roots = read_roots([authority.trusted_roots], None)
        if not any(can_anchor(root, now) for root in roots):
            what = (
                f"no chain can end in the certificates of {authority.trusted_roots}: all have "
                "expired or are not CA certificates; put the CA's current root there"
            )
            yield Finding(("authorities", name, "trusted_roots"), what)


def _refused_directories(configuration: Configuration) -> Iterator[Finding]:
    """Find directories that gatecert refuses to write to, as the owner of its state."""
    state = configuration.state_directory
    try:
        user = state.stat().st_uid
    except OSError:  # not made yet
        user = os.geteuid()
    webroot = configuration.challenges.http_01.webroot
    if webroot is not None and (error := refusal(webroot, user=user, shared=True)):
        yield Finding(("challenges", "http-01", "webroot"), f"{error.message}; {error.fix}")
    for name, gateway in configuration.gateways.items():
        for index, copy in enumerate(gateway.install.copy_to):
            if error := refusal(copy.path.parent, user=user):
                where = ("gateways", name, "install", "copy_to", index, "path")
                yield Finding(where, f"{error.message}; {error.fix}")
