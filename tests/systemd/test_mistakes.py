"""Mistakes of operators with the units, and the messages about them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from harness.machine.site import BOSTON, GATEWAY, HOSTNAME

if TYPE_CHECKING:
    from harness.machine.booted import Machine
    from harness.machine.site import Site

pytestmark = pytest.mark.on_one_debian

SERVICE = "gatecert.service"
RELOAD = f"gatecert-reload@{BOSTON}.service"


def test_a_missing_group_is_named(site: Site) -> None:
    site.gateway["install"]["key_group"] = "tls-servers"
    site.configure()
    site.names.point(HOSTNAME, "127.0.0.1")

    site.machine.boot()

    site.machine.wait_for(
        lambda: site.machine.said(SERVICE, "there is no group 'tls-servers' on this host"),
        "an explanation",
    )
    assert site.machine.said(SERVICE, "create the group, or correct it in the configuration")
    assert site.pebble.orders() == 0


def test_a_read_only_path_is_reported_with_the_directive_that_opens_it(
    enrolled: Site,
) -> None:
    machine = enrolled.machine
    machine.must("install", "-d", "-o", "gatecert", "/srv/haproxy")
    enrolled.gateway["install"]["copy_to"] = [
        {"path": "/srv/haproxy/boston.pem", "contents": "combined"}
    ]
    enrolled.configure()

    machine.must("systemctl", "reload", SERVICE)

    directive = "ReadWritePaths=/srv/haproxy"
    machine.wait_for(lambda: machine.said(SERVICE, directive), "an explanation")
    assert enrolled.served(trusted=True)

    machine.drop_in(SERVICE, f"[Service]\n{directive}\n")
    machine.must("systemctl", "daemon-reload")
    machine.must("systemctl", "restart", SERVICE)
    machine.wait_for(
        lambda: machine.run("test", "-s", "/srv/haproxy/boston.pem").exit_code == 0, "the copy"
    )
    enrolled.wait_settled()
    assert enrolled.pebble.orders() == 1


def test_without_the_capability_and_the_socket(site: Site) -> None:
    machine = site.machine
    machine.drop_in(SERVICE, "[Service]\nAmbientCapabilities=\nCapabilityBoundingSet=\n")
    site.names.point(HOSTNAME, "127.0.0.1")

    machine.boot()

    machine.wait_for(
        lambda: machine.said(SERVICE, "start gatecert-http.socket and restart gatecert"),
        "an explanation",
    )
    assert machine.said(SERVICE, "port 80 needs CAP_NET_BIND_SERVICE")
    assert site.pebble.orders() == 0
    assert machine.shown(SERVICE, "ActiveState") == "active"
    site.wait_served()


def test_state_of_another_user(enrolled: Site) -> None:
    machine = enrolled.machine
    machine.must("systemctl", "stop", SERVICE)
    machine.must("chown", "-R", "root:root", GATEWAY)
    before = enrolled.served(trusted=True)

    machine.must("systemctl", "start", SERVICE)

    machine.wait_for(lambda: machine.said(SERVICE, "by user gatecert"), "an explanation")
    assert machine.said(SERVICE, f"let user gatecert own {GATEWAY}")
    assert enrolled.served(trusted=True) == before
    assert enrolled.pebble.orders() == 1

    machine.must("chown", "-R", "gatecert:gatecert", GATEWAY)
    machine.must("systemctl", "restart", SERVICE)
    enrolled.wait_settled()
    assert enrolled.pebble.orders() == 1


def test_wrong_names_of_the_unit_to_reload(enrolled: Site) -> None:
    machine = enrolled.machine
    enrolled.wait_reloaded()

    for unit, explanation in (
        (
            "ocsrv.service",
            "unit ocsrv.service not found: correct Environment=UNIT=",
        ),
        ("", "no unit named: run systemctl edit for this service"),
        ("gatecert.service", "gatecert.service is gatecert itself"),
        ("dbus.socket", "dbus.socket cannot be reloaded"),
        ("--now", "--now is not a unit name"),
    ):
        machine.drop_in(RELOAD, f"[Service]\nEnvironment=UNIT={unit}\n")
        machine.must("systemctl", "daemon-reload")

        asked = machine.run("systemctl", "start", RELOAD)

        assert asked.exit_code != 0
        machine.wait_for(partial(machine.said, RELOAD, explanation), explanation)
    assert enrolled.served(trusted=True)


def test_a_wrong_name_keeps_no_other_unit_from_being_reloaded(enrolled: Site) -> None:
    machine = enrolled.machine
    enrolled.wait_reloaded()
    before = reloads(machine)
    machine.drop_in(RELOAD, '[Service]\nEnvironment="UNIT=ocsrv.service ocserv.service"\n')
    machine.must("systemctl", "daemon-reload")

    asked = machine.run("systemctl", "start", RELOAD)

    assert asked.exit_code != 0
    machine.wait_for(
        partial(machine.said, RELOAD, "unit ocsrv.service not found"), "an explanation"
    )
    machine.wait_for(lambda: reloads(machine) == before + 1, "ocserv to be reloaded")


def reloads(machine: Machine) -> int:
    """Return how often systemd has reloaded ocserv since the boot."""
    entries = machine.journal("--unit", "ocserv.service")
    return sum(str(entry.get("MESSAGE")).startswith("Reloaded ") for entry in entries)


def test_a_reload_unit_that_is_missing_is_named_once_the_old_certificate_is_served(
    enrolled: Site,
) -> None:
    machine, path = enrolled.machine, RELOAD.replace(".service", ".path")
    enrolled.wait_reloaded()
    as_user = ("setpriv", "--reuid=gatecert", "--regid=gatecert", "--clear-groups", "gatecert")
    assert "reload" not in machine.must(*as_user, "check")
    assert "reload-unit-ok" in machine.run(*as_user, "doctor", BOSTON, "--json").output
    before = enrolled.served(trusted=True)

    machine.must("systemctl", "disable", "--now", path)
    (machine.root / f"etc/systemd/system/{RELOAD}.d/test.conf").unlink()
    machine.must("systemctl", "daemon-reload")
    missing = f"{path} is not enabled, and UNIT= is not set in {RELOAD}"
    assert f"note: install.reload is empty, and {missing}" in machine.must("gatecert", "check")

    enrolled.gateway["install"]["verify_timeout"] = "2s"
    enrolled.configure()
    machine.must("systemctl", "reload", SERVICE)
    renewed = machine.run("gatecert", "enroll", "--force", BOSTON)

    assert renewed.exit_code == 1
    fix = f"the reload unit {missing}: systemctl edit {RELOAD}"
    assert fix in " ".join(renewed.errors.split())
    assert enrolled.served(trusted=True) == before
    machine.wait_for(partial(machine.said, SERVICE, fix), "the daemon to say it as well")
    found = machine.run("gatecert", "doctor", BOSTON, "--json").output
    assert "deployment-failed" in found
    assert fix in found

    machine.drop_in(RELOAD, "[Service]\nEnvironment=UNIT=ocserv.service\n")
    machine.must("systemctl", "daemon-reload")
    machine.must("systemctl", "enable", "--now", path)
    machine.wait_for(
        lambda: enrolled.served(trusted=True) not in {None, before}, "the new certificate"
    )
