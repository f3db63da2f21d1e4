"""Tests of pairs and CSR subjects in the configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gatecert.config.targets import target
from gatecert.model import Member

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatecert.config.schema import Configuration

PAIR = """\
gateways:
  hq:
    hostname: vpn.company.com
    mode: custom
    alternative_names: [remote.company.com]
    members:
      primary: {common_name: primaryvpn.company.com}
      spare: {common_name: secondaryvpn.company.com}
"""
BOTH = (
    Member("primary", "primaryvpn.company.com"),
    Member("spare", "secondaryvpn.company.com"),
)


@pytest.mark.parametrize(
    ("member", "own"),
    [
        ("primary", ["primaryvpn.company.com"]),
        ("spare", ["secondaryvpn.company.com"]),
        ("", []),
    ],
)
def test_each_host_has_its_own_name_after_the_shared_one(
    configuration: Callable[[str], Configuration], member: str, own: list[str]
) -> None:
    loaded = configuration(f"{PAIR}    member: {member}\n")
    made = target(loaded.gateways["hq"], loaded)
    names = [str(name) for name in made.identifiers]
    assert names == ["vpn.company.com", *own, "remote.company.com"]
    assert (made.hostname, made.members, made.member) == ("vpn.company.com", BOTH, member)


def test_an_automatic_pair_is_enrolled_by_the_shared_name_only(
    configuration: Callable[[str], Configuration],
) -> None:
    written = PAIR.replace("mode: custom", "region: cn") + "    member: spare\n"
    loaded = configuration(written)
    made = target(loaded.gateways["hq"], loaded)
    assert [str(name) for name in made.identifiers] == ["vpn.company.com", "remote.company.com"]


@pytest.mark.parametrize(
    ("before", "after", "complaint"),
    [
        (
            "secondaryvpn",
            "primaryvpn",
            (
                "8: gateways.hq.members.spare.common_name: primaryvpn.company.com is also the name "
                "of member primary; each host needs a name of its own in addition"
            ),
        ),
        (
            "{common_name: primaryvpn",
            "{common_name: vpn",
            (
                "7: gateways.hq.members.primary.common_name: vpn.company.com is also the hostname "
                "that all members share; each host needs a name of its own in addition"
            ),
        ),
        (
            "      spare: {common_name: secondaryvpn.company.com}\n",
            "",
            (
                "6: gateways.hq.members: has only one host; write every host that shares the "
                "hostname, or leave it out"
            ),
        ),
        (
            "    members:",
            "    member: third\n    members:",
            "6: gateways.hq.member: third is not one of the members; add it there",
        ),
    ],
)
def test_an_invalid_pair_is_refused(
    complaints: Callable[[str], list[str]], before: str, after: str, complaint: str
) -> None:
    assert complaints(PAIR.replace(before, after)) == [complaint]


def test_a_subject_is_passed_on(configuration: Callable[[str], Configuration]) -> None:
    subject = "{O: Company, OU: Network, L: Oslo, ST: Oslo, C: no}"
    loaded = configuration(f"{PAIR}    subject: {subject}\n")
    assert dict(target(loaded.gateways["hq"], loaded).subject) == {
        "O": "Company",
        "OU": "Network",
        "L": "Oslo",
        "ST": "Oslo",
        "C": "NO",
    }


@pytest.mark.parametrize(
    ("subject", "complaint"),
    [
        ("{C: USA}", 'subject.C: "USA" is not a two-letter country code such as US'),
        ("{C: Ü1}", 'subject.C: "Ü1" is not a two-letter country code such as US'),
        (f"{{O: {'x' * 65}}}", "is longer than 64 characters"),
        (f"{{L: {'x' * 129}}}", "is longer than 128 characters"),
        ("{CN: x}", "subject.CN: unknown key"),
    ],
)
def test_a_subject_is_limited_in_length(
    complaints: Callable[[str], list[str]], subject: str, complaint: str
) -> None:
    (said,) = complaints(f"{PAIR}    subject: {subject}\n")
    assert complaint in said


def test_a_subject_requires_custom_mode(complaints: Callable[[str], list[str]]) -> None:
    written = "gateways: {g: {hostname: g.example.com, region: cn, subject: {O: Company}}}\n"
    (said,) = complaints(written)
    assert "subject: requires mode: custom" in said
