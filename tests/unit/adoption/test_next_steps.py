"""The steps that are left to the operator."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tests.fakes.client_directories import FOUND, SHOP, write
from tests.fakes.clock import NOW

from gatecert.adoption.existing import Existing
from gatecert.adoption.found import FoundChallenge, FoundState
from gatecert.adoption.gateway_plan import Rights
from gatecert.adoption.next_steps import Situation, next_steps
from gatecert.adoption.own_units import UnitsResult
from gatecert.adoption.plan import make_plan

if TYPE_CHECKING:
    from tests.fakes.client_directories import Office

    from gatecert.adoption.next_steps import Step

STATE = Path("/var/lib/gatecert")
OLD = Path(f"/etc/letsencrypt/live/{SHOP}")
LIVE = STATE / "gateways" / SHOP / "live"
WEBROOT = FoundChallenge("webroot", "http-01", webroot=Path("/srv"))


def situation(
    office: Office, etc: Path, *, as_root: bool = False, challenge: FoundChallenge = WEBROOT
) -> Situation:
    files = {name: OLD / name for name in ("fullchain.pem", "privkey.pem")}
    found = replace(office.found(SHOP), files=files, challenge=challenge)
    rights = Rights(runs_as_root=as_root)
    state = FoundState(
        "certbot", FOUND, (), (found,), switch_off=("disable it",), or_else=("Or so.",)
    )
    existing = Existing(etc / "gatecert" / "config.yaml", STATE)
    plan = make_plan(state, existing, now=NOW, roots=(), rights=rights)
    return Situation(plan, plan.gateways, STATE, rights, UnitsResult(), etc=etc)


def heads(steps: list[Step]) -> list[str]:
    return [step.head for step in steps]


def test_the_commands_change_the_lines_that_are_named(office: Office, tmp_path: Path) -> None:
    site = tmp_path / "nginx" / "sites-enabled" / "shop"
    other = f"ssl_certificate /etc/letsencrypt/live/x{SHOP}/fullchain.pem;\n"
    write(
        site,
        f"ssl_certificate {OLD}/fullchain.pem;\nssl_certificate_key {OLD}/privkey.pem;\n{other}",
    )

    step = next_steps(situation(office, tmp_path))[0]

    assert step.head == "Let nginx read gatecert's files:"
    assert step.details == (
        f"in {site}:1, change ssl_certificate to {LIVE}/fullchain.pem",
        f"in {site}:2, change ssl_certificate_key to {LIVE}/privkey.pem",
    )
    copy, change, reload = step.commands
    assert copy == f"cp -a {tmp_path}/nginx /root/nginx.before-gatecert"
    assert reload == "nginx -t && systemctl reload nginx.service"
    subprocess.run(["/bin/sh", "-c", change], check=True, timeout=10)
    assert site.read_text("utf-8") == (
        f"ssl_certificate {LIVE}/fullchain.pem;\nssl_certificate_key {LIVE}/privkey.pem;\n{other}"
    )


def test_a_file_outside_etc_is_copied_alone(office: Office, tmp_path: Path) -> None:
    write(tmp_path / "srv" / "shop.conf", f"ssl_certificate {OLD}/fullchain.pem;\n")
    (tmp_path / "etc" / "nginx").mkdir(parents=True)
    (tmp_path / "etc" / "nginx" / "shop.conf").symlink_to("../../srv/shop.conf")

    copy, change, _ = next_steps(situation(office, tmp_path / "etc"))[0].commands

    assert copy == f"cp -a {tmp_path}/srv/shop.conf /root/shop.conf.before-gatecert"
    assert change.endswith(f" {tmp_path}/srv/shop.conf")


def test_many_lines_are_counted(office: Office, tmp_path: Path) -> None:
    write(tmp_path / "nginx" / "a", f"ssl_certificate {OLD}/fullchain.pem;\n" * 12)

    assert next_steps(situation(office, tmp_path))[0].details[-1] == "and 4 more such lines"


def test_a_reload_is_set_up_for_the_server_that_was_found(office: Office, tmp_path: Path) -> None:
    write(tmp_path / "nginx" / "a", f"ssl_certificate {OLD}/fullchain.pem;\n")
    user = situation(office, tmp_path)

    reload = next_steps(user)[1]
    assert reload.head == "Have systemd reload nginx.service after a renewal:"
    assert f"for name in {SHOP}; do" in reload.commands
    done = replace(user, units=UnitsResult(frozenset({SHOP}), webroot=True))
    assert "Have systemd reload" not in " ".join(heads(next_steps(done)))
    root = next_steps(situation(office, tmp_path, as_root=True))[1]
    assert root.details == (f"gateways.{SHOP}.install.reload: [systemctl, reload, nginx.service]",)


def test_the_last_steps(office: Office, tmp_path: Path) -> None:
    steps = next_steps(replace(situation(office, tmp_path), left="systemctl start it"))

    assert heads(steps) == [
        (
            f"Say how the servers of {SHOP} are reloaded: install.reload or a reload unit"
            " (docs/systemd.md), unless they notice changes themselves."
        ),
        "Let gatecert write to /srv/.well-known/acme-challenge:",
        "Make gatecert renew them from now on:",
        "Switch certbot off, so that it does not renew too:",
        "See that renewals will work:",
    ]
    assert steps[3].commands == ("disable it",)
    assert steps[3].otherwise == ("Or so.",)


def test_a_webroot_that_is_not_served_is_said(office: Office, tmp_path: Path) -> None:
    steps = next_steps(replace(situation(office, tmp_path), unserved=(SHOP,)))

    assert f"Let the web server answer for {SHOP} on port 80" in steps[1].head
