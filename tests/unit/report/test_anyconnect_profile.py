from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from gatecert.model import ClientProfile, Identifier, IdentifierType, Member, Target
from gatecert.report.anyconnect_profile import NAMESPACE, profile

NAMES = {"a": NAMESPACE}
HOSTNAME = "boston-njndubu.dynamic-m.com"


def target(*members: Member, display_name: str = "", port: int = 443) -> Target:
    return Target(
        name="boston",
        identifiers=(Identifier(IdentifierType.DNS, HOSTNAME),),
        display_name=HOSTNAME,
        members=members,
        profile=ClientProfile(display_name, port),
    )


def entry(document: bytes) -> ET.Element:
    found = ET.fromstring(document).findall("a:ServerList/a:HostEntry", NAMES)  # noqa: S314 - ours
    assert len(found) == 1
    return found[0]


def test_alias_points_to_the_hostname() -> None:
    assert profile(target(display_name="Boston")).decode() == (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<AnyConnectProfile xmlns="{NAMESPACE}">\n'
        "  <ServerList>\n"
        "    <HostEntry>\n"
        "      <HostName>Boston</HostName>\n"
        f"      <HostAddress>{HOSTNAME}</HostAddress>\n"
        "    </HostEntry>\n"
        "  </ServerList>\n"
        "</AnyConnectProfile>\n"
    )


@pytest.mark.parametrize(
    "name", ["", "R&D <west>", "\"quoted\" & 'quoted'", "]]>", "Zürich 北京 🏢", "&amp;"]
)
def test_any_alias_round_trips(name: str) -> None:
    alias = entry(profile(target(display_name=name))).findtext("a:HostName", None, NAMES)

    assert alias == (name or "boston")


def test_members_are_backup_servers_in_order() -> None:
    members = (Member("primary", "primaryvpn.company.com"), Member("spare", "sparevpn.company.com"))

    found = entry(profile(target(*members, port=8443)))

    assert found.findtext("a:HostAddress", None, NAMES) == f"{HOSTNAME}:8443"
    backups = found.findall("a:BackupServerList/a:HostAddress", NAMES)
    assert [each.text for each in backups] == [
        "primaryvpn.company.com:8443",
        "sparevpn.company.com:8443",
    ]


def test_shared_name_is_no_backup_server() -> None:
    found = entry(profile(target(Member("primary", HOSTNAME))))

    assert found.find("a:BackupServerList", NAMES) is None
