"""Tests of whether an adopted webroot is served for each gateway."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tests.fakes.client_directories import FOUND, SHOP
from tests.fakes.clock import NOW

from gatecert.adoption.existing import Existing
from gatecert.adoption.found import FoundChallenge, FoundState
from gatecert.adoption.gateway_plan import Rights
from gatecert.adoption.plan import make_plan
from gatecert.adoption.webroot_check import unserved_names

if TYPE_CHECKING:
    from tests.fakes.client_directories import Office

    from gatecert.adoption.plan import Plan

MAIL = "mail.example.com"


def plan(office: Office, challenge: FoundChallenge) -> Plan:
    found = tuple(replace(office.found(name), challenge=challenge) for name in (SHOP, MAIL))
    existing = Existing(Path("/etc/gatecert/config.yaml"), Path("/state"))
    state = FoundState("certbot", FOUND, (), found)
    return make_plan(state, existing, now=NOW, roots=(), rights=Rights(runs_as_root=True))


def test_names_that_the_server_does_not_answer_for_are_returned(office: Office) -> None:
    asked: list[tuple[Path, str]] = []

    def serves(webroot: Path, name: str) -> bool:
        asked.append((webroot, name))
        return name == SHOP

    webroot = FoundChallenge("webroot", "http-01", webroot=Path("/srv"))

    assert unserved_names(plan(office, webroot), serves) == (MAIL,)
    assert sorted(asked) == [(Path("/srv"), MAIL), (Path("/srv"), SHOP)]
    assert unserved_names(plan(office, FoundChallenge("standalone", "http-01")), serves) == ()
