"""Tests of the members of a pair."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.fakes.custom_office import HOST, PAIR, PRIMARY, SINGLE, SPARE
from tests.fakes.pki import Pki

from gatecert.custom.member import (
    common_name,
    other_member,
    own_member,
    require_member,
    select_member,
)
from gatecert.errors import WrongUsageError


def test_a_single_host_has_its_hostname_as_common_name() -> None:
    assert select_member(SINGLE, "") is SINGLE
    assert common_name(SINGLE) == HOST
    assert own_member(SINGLE) is None
    require_member(SINGLE)


def test_a_member_has_its_own_and_the_shared_name() -> None:
    spare = select_member(PAIR, "spare")
    assert common_name(spare) == SPARE.common_name
    assert [str(name) for name in spare.identifiers] == [HOST, SPARE.common_name]
    assert select_member(spare, "spare") == spare
    require_member(spare)


@pytest.mark.parametrize(
    ("member", "wanted", "what"),
    [
        ("", "sparee", r"has no member 'sparee', did you mean spare \(members: primary, spare\)"),
        ("", "x", r"has no member 'x' \(members"),
        ("primary", "spare", "this host is member primary .* never leave the host"),
    ],
)
def test_another_member_is_refused(member: str, wanted: str, what: str) -> None:
    with pytest.raises(WrongUsageError, match=what):
        select_member(replace(PAIR, member=member), wanted)


def test_a_single_host_has_no_members() -> None:
    with pytest.raises(WrongUsageError, match="omit --member"):
        select_member(SINGLE, "spare")


def test_a_pair_needs_to_know_its_member() -> None:
    with pytest.raises(WrongUsageError, match="--member primary or --member spare"):
        require_member(PAIR)


def test_a_member_is_recognised_by_the_certificates_names() -> None:
    pki = Pki()
    primary = pki.issue(PRIMARY.common_name, names=(HOST,)).certificate
    both = pki.issue("x", names=(HOST, PRIMARY.common_name, SPARE.common_name)).certificate
    neither = pki.issue("y", names=(HOST,)).certificate
    here = select_member(PAIR, "spare")
    assert other_member(here, primary) == PRIMARY
    assert other_member(select_member(PAIR, "primary"), primary) is None
    assert other_member(here, both) is None
    assert other_member(here, neither) is None
    assert other_member(PAIR, primary) == PRIMARY
