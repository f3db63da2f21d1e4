"""From installation to trusted, and everything that happens to a service."""

from __future__ import annotations

import re
import shutil
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gatecert.report.message_ids import message_id
from harness import false_clock
from harness.machine.site import BOSTON, CONFIGURATION, GATEWAY, HOSTNAME, LIVE

if TYPE_CHECKING:
    from harness.machine.site import Site

    from .conftest import Figures, Installed

SERVICE = "gatecert.service"
# Like ocserv: systemd considers it started at once, but a signal would end it then.
LATE = """\
[Service]
ExecStart=/usr/bin/python3 -u /srv/late.py
ExecReload=/bin/kill -HUP $MAINPID
"""
LATE_SERVER = """\
import signal, time
time.sleep(1)
signal.signal(signal.SIGHUP, lambda *_: print("read again"))
while True:
    signal.pause()
"""


def test_bootstrap_before_the_network_then_enrolled_and_reloaded(site: Site) -> None:
    machine = site.machine
    site.delay_network()

    machine.boot()
    machine.wait_active(SERVICE)

    assert machine.shown("network-online.target", "ActiveState") == "inactive"
    assert machine.shown("ocserv.service", "ActiveState") == "inactive"
    bootstrap = site.live()
    assert bootstrap is not None
    assert bootstrap.issuer == bootstrap.subject

    site.bring_network()
    machine.wait_active("ocserv.service")
    machine.wait_for(site.served, "ocserv to serve the bootstrap certificate")
    assert "signer not found" in site.log_in().refusal
    assert site.pebble.orders() == 0

    site.names.point(HOSTNAME, "127.0.0.1")
    site.wait_trusted()

    assert site.log_in().trusted
    assert site.pebble.orders() == 1
    site.wait_settled()
    status = machine.must("systemctl", "status", "--no-pager", "--full", SERVICE)
    assert re.search(rf'Status: "{BOSTON}: (enrolled|idle), .+"', status)
    machine.wait_for(
        lambda: machine.said(f"gatecert-reload@{BOSTON}.service", "Finished"), "the reload's end"
    )
    assert machine.must("systemctl", "--failed", "--plain", "--no-legend") == ""


def test_only_the_server_group_can_read_the_key(enrolled: Site) -> None:
    key = f"{LIVE}/privkey.pem"
    as_nobody = ("setpriv", "--reuid=nobody", "--regid=nogroup")

    member = enrolled.machine.run(*as_nobody, "--groups=gatecert", "cat", key)
    stranger = enrolled.machine.run(*as_nobody, "--clear-groups", "cat", key)

    assert "PRIVATE KEY" in member.output
    assert stranger.exit_code != 0
    assert "Permission denied" in stranger.errors


def test_a_killed_daemon_restarts_and_orders_nothing(enrolled: Site) -> None:
    machine = enrolled.machine
    before = machine.shown(SERVICE, "MainPID")

    machine.must("kill", "-KILL", before)
    machine.wait_for(
        lambda: machine.shown(SERVICE, "MainPID") not in {"0", before}, "another process"
    )
    machine.wait_active(SERVICE)
    enrolled.wait_settled()

    assert machine.shown(SERVICE, "NRestarts") == "1"
    assert enrolled.pebble.orders() == 1
    assert enrolled.served(trusted=True)


@pytest.mark.on_one_debian
def test_the_watchdog_ends_a_daemon_whose_scheduler_hangs(enrolled: Site) -> None:
    machine = enrolled.machine
    hook = Path(__file__).with_name("hanging.py").read_text("utf-8")
    machine.write_running("/var/lib/hanging.py", hook)
    machine.drop_in(
        SERVICE,
        "[Service]\nWatchdogSec=5s\nExecStart=\nReadWritePaths=/run\n"
        f"ExecStart=/usr/bin/python3 -IS /var/lib/hanging.py -c {CONFIGURATION} run\n",
    )
    machine.must("systemctl", "daemon-reload")
    machine.must("systemctl", "restart", SERVICE)
    enrolled.wait_settled()

    machine.must("install", "-o", "gatecert", "-d", "/run/hang", "/run/hang/now")
    machine.wait_for(lambda: machine.shown(SERVICE, "NRestarts") == "1", "the watchdog", seconds=60)
    machine.wait_active(SERVICE)
    enrolled.wait_settled()

    assert machine.said(SERVICE, "Watchdog timeout (limit 5s)!")
    assert machine.said(SERVICE, "hanging.py"), "the stacks of all threads are in the journal"
    assert enrolled.pebble.orders() == 1


def test_after_a_reboot_the_same_certificate_is_served_and_nothing_is_ordered(
    enrolled: Site,
) -> None:
    before = enrolled.served(trusted=True)

    enrolled.machine.reboot()
    enrolled.wait_trusted()
    enrolled.wait_settled()

    assert enrolled.served(trusted=True) == before
    assert enrolled.pebble.orders() == 1
    assert enrolled.log_in().trusted


def test_a_reload_with_an_invalid_file_fails_and_the_old_one_stays(enrolled: Site) -> None:
    machine = enrolled.machine
    process = machine.shown(SERVICE, "MainPID")
    good = dict(enrolled.configuration)
    enrolled.configuration["gatways"] = enrolled.configuration.pop("gateways")
    enrolled.configure()

    reloaded = machine.run("systemctl", "reload", SERVICE)

    assert reloaded.exit_code != 0
    assert machine.said(SERVICE, "did you mean")
    assert machine.shown(SERVICE, "ActiveState") == "active"
    assert machine.shown(SERVICE, "MainPID") == process
    assert machine.shown(SERVICE, "Result") == "success"
    assert enrolled.served(trusted=True)

    enrolled.configuration = good
    enrolled.configure()
    machine.must("systemctl", "reload", SERVICE)
    machine.wait_for(
        lambda: machine.said(SERVICE, "configuration reloaded"), "the daemon to read it"
    )
    assert machine.shown(SERVICE, "MainPID") == process
    assert enrolled.pebble.orders() == 1


def test_journal_entries_have_fields(enrolled: Site) -> None:
    entries = enrolled.machine.journal(f"GATECERT_GATEWAY={BOSTON}")

    told = [entry for entry in entries if entry.get("GATECERT_OUTCOME") == "enrolled"]
    assert len(told) == 1
    (entry,) = told
    assert entry["_SYSTEMD_UNIT"] == SERVICE
    assert entry["SYSLOG_IDENTIFIER"] == "gatecert"
    assert entry["PRIORITY"] == "6"
    assert HOSTNAME in entry["MESSAGE"]
    assert entry["CODE_FILE"].endswith("gatecert/supervision/gateways.py")


def test_the_journal_explains_a_failed_enrolment(site: Site) -> None:
    machine = site.machine
    # The CA asks at port 80, where nothing answers.
    site.configuration["challenges"] = {"http-01": {"listen": ["127.0.0.1:8080"]}}
    site.configure()
    site.names.point(HOSTNAME, "127.0.0.1")
    machine.boot()
    matches = (f"MESSAGE_ID={message_id('challenge-failed')}", f"GATECERT_GATEWAY={BOSTON}")
    machine.wait_for(lambda: machine.journal(*matches), "the enrolment to fail")

    shown = machine.must("journalctl", "--boot", "--no-pager", "--catalog", "--unit", SERVICE)

    words = " ".join(line.removeprefix("\u2591\u2591") for line in shown.splitlines()).split()
    explained = " ".join(words)
    assert f"Subject: Gateway {BOSTON}: challenge-failed Defined-By: gatecert" in explained
    assert "The CA could not verify that this host controls the name" in explained
    assert "What to do: let the CA reach the gateway" in explained
    assert f"gatecert doctor {BOSTON} shows whether it lasts" in explained
    assert f"Subject: Gateway {BOSTON}: bootstrapped" in explained
    assert "@GATECERT" not in shown


def test_a_reload_does_not_end_a_starting_server(enrolled: Site) -> None:
    machine = enrolled.machine
    machine.write("/srv/late.py", LATE_SERVER)
    machine.write("/etc/systemd/system/late.service", LATE)
    machine.drop_in(
        f"gatecert-reload@{BOSTON}.service", "[Service]\nEnvironment=UNIT=late.service\n"
    )
    machine.must("systemctl", "daemon-reload")

    enrolled.wait_reloaded()
    machine.must("systemctl", "start", "late.service")
    machine.must(
        "setpriv", "--reuid=gatecert", "--clear-groups", "touch", f"{GATEWAY}/reload-wanted"
    )

    machine.wait_for(lambda: machine.said("late.service", "read again"), "the server to reload")
    assert machine.shown("late.service", "ActiveState") == "active"


def test_a_wrong_clock_at_boot_costs_no_order(site: Site) -> None:
    """Set the clock years back, as on hosts without a battery, until NTP answers."""
    machine = site.machine
    machine.write("/etc/gatecert/clock", "-7y\n")
    (library,) = (machine.root / "usr/lib").glob("*/faketime/libfaketimeMT.so.1")
    set_clock = "/usr/lib/set_clock.so"
    shutil.copy(false_clock.set_clock(), machine.root / set_clock.lstrip("/"))
    variables = {
        **false_clock.environment(
            f"/{library.relative_to(machine.root)}", set_clock, "@/etc/gatecert/clock"
        ),
        "FAKETIME_DISABLE_SHM": "1",
    }
    lines = "".join(f'Environment="{name}={value}"\n' for name, value in variables.items())
    machine.drop_in(SERVICE, f"[Service]\n{lines}")
    site.names.point(HOSTNAME, "127.0.0.1")

    machine.boot()
    machine.wait_active(SERVICE)
    bootstrap = site.live()
    assert bootstrap is not None
    assert bootstrap.not_valid_after_utc < datetime.now(UTC)
    machine.wait_for(lambda: machine.said(SERVICE, "set the clock"), "an explanation")
    assert site.pebble.orders() == 0
    site.wait_served()

    machine.write("/etc/gatecert/clock", "+0\n")
    site.wait_trusted()
    site.wait_settled()

    assert site.pebble.orders() == 1
    assert machine.shown(SERVICE, "NRestarts") == "0"


def others() -> float:
    """Return how many times slower this machine is at the moment because of other work."""
    wall, own = time.monotonic(), time.process_time()
    while time.process_time() - own < 0.2:
        pass
    return max(1.0, (time.monotonic() - wall) / (time.process_time() - own))


def test_durations_of_start_and_enrolment(
    site: Site, installed: Installed, figures: Figures
) -> None:
    """Start with an empty state, and say how long it takes; a busy machine needs longer."""
    machine = site.machine
    machine.must_offline("systemctl", "disable", SERVICE, "ocserv.service")
    site.names.point(HOSTNAME, "127.0.0.1")
    machine.boot()
    machine.wait_idle()
    busy = others()

    started = time.monotonic()
    machine.must("systemctl", "start", SERVICE)
    ready = time.monotonic() - started
    machine.must("systemctl", "start", "ocserv.service")
    site.wait_trusted()
    trusted = time.monotonic() - started

    busy = max(busy, others())
    figures.add(f"{installed.suite}: systemctl start to READY", ready)
    figures.add(f"{installed.suite}: systemctl start to trusted and served", trusted)
    figures.add(f"{installed.suite}: how many times longer because of others", busy, "")
    assert 0 < ready < trusted
