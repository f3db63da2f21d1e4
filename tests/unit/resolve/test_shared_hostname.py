"""Advice for hosts that share a hostname."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gatecert.model import Identifier, IdentifierType, Member, Mode, Target
from gatecert.resolve.shared_hostname import unreached_members_advice

PAIR = Target(
    name="hq",
    identifiers=(Identifier(IdentifierType.DNS, "vpn.company.com"),),
    display_name="vpn.company.com",
    members=(Member("primary", "p.company.com"), Member("spare", "s.company.com")),
)


def test_a_pair_that_the_ca_connects_to_is_advised() -> None:
    reason = unreached_members_advice(PAIR, behind_nat=False)
    assert "primary and spare share vpn.company.com at a virtual IP," in reason
    assert "set challenge: dns-01" in reason
    assert "or mode: custom and run gatecert csr hq" in reason


def test_nat_is_mentioned() -> None:
    assert "a virtual IP behind NAT" in unreached_members_advice(PAIR, behind_nat=True)


@pytest.mark.parametrize(
    "challenges", [("dns-01",), ("dns-persist-01",), ("http-01", "dns-01")], ids=",".join
)
def test_a_txt_record_validates_the_name_of_every_host(challenges: tuple[str, ...]) -> None:
    assert unreached_members_advice(replace(PAIR, challenges=challenges), behind_nat=True) == ""


def test_other_gateways_get_no_advice() -> None:
    relayed = replace(PAIR, challenges=(), is_looked_up=False)
    assert unreached_members_advice(relayed, behind_nat=True) == ""
    assert unreached_members_advice(replace(PAIR, mode=Mode.CUSTOM), behind_nat=True) == ""
    assert unreached_members_advice(replace(PAIR, members=()), behind_nat=True) == ""
