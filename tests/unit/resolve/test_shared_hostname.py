"""Advice to use mode: custom for a pair."""

from __future__ import annotations

from dataclasses import replace

from gatecert.model import Identifier, IdentifierType, Member, Mode, Target
from gatecert.resolve.shared_hostname import custom_mode_advice

PAIR = Target(
    name="hq",
    identifiers=(Identifier(IdentifierType.DNS, "vpn.company.com"),),
    display_name="vpn.company.com",
    members=(Member("primary", "p.company.com"), Member("spare", "s.company.com")),
)


def test_custom_mode_is_recommended_for_an_automatic_pair() -> None:
    reason = custom_mode_advice(PAIR, behind_nat=False)
    assert "primary and spare share vpn.company.com at a virtual IP," in reason
    assert "mode: custom is recommended: run gatecert csr hq" in reason


def test_nat_is_mentioned() -> None:
    assert "a virtual IP behind NAT" in custom_mode_advice(PAIR, behind_nat=True)


def test_other_gateways_get_no_advice() -> None:
    assert custom_mode_advice(replace(PAIR, mode=Mode.CUSTOM), behind_nat=True) == ""
    assert custom_mode_advice(replace(PAIR, members=()), behind_nat=True) == ""
