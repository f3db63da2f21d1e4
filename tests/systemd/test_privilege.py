"""Privileges: the sandbox, the daemon's account, and commands of root."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from harness.machine.site import BOSTON, CONFIGURATION, GATEWAY, HOSTNAME, LIVE

if TYPE_CHECKING:
    from harness.machine.booted import Finished, Machine
    from harness.machine.site import Site

    from .conftest import Figures, Installed

SERVICE = "gatecert.service"
RELOAD = f"gatecert-reload@{BOSTON}.service"
AS_DAEMON = ("setpriv", "--reuid=gatecert", "--regid=gatecert", "--init-groups")
SOCKET_DROP_IN = ("/etc/systemd/system/gatecert.service.d", "/usr/share/gatecert/http-socket.conf")
# A unit that must never run: the daemon's account cannot choose what root does.
WITNESS = """\
[Service]
ExecStart=/bin/sh -c 'touch /srv/started; exec sleep infinity'
ExecReload=/bin/touch /srv/reloaded
"""
EVIL = "/var/lib/gatecert/gateways/evil"
UNITS_OF_ROOT = (
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/lib/systemd/system",
    "/etc/systemd/system/gatecert.service.d",
    f"/etc/systemd/system/{RELOAD}.d",
    "/usr/lib/gatecert",
    "/usr/lib/gatecert/python",
    "/etc/gatecert",
    "/etc/polkit-1/rules.d",
)


def as_daemon(machine: Machine, *argv: str) -> Finished:
    """Run a command with the rights of the daemon's account, without its sandbox."""
    return machine.run(*AS_DAEMON, *argv)


def exposure(machine: Machine) -> float:
    """Return the exposure of the installed service from `systemd-analyze security`."""
    unit = "/usr/lib/systemd/system/gatecert.service"
    listed = machine.run("systemd-analyze", "security", "--offline=true", "--no-pager", unit)
    (summary,) = [line for line in listed.output.splitlines() if "Overall exposure" in line]
    return float(summary.split(":")[1].split()[0])


@pytest.mark.parametrize(("port_80", "limit"), [("capability", 1.6), ("socket", 1.2)])
def test_the_service_is_sandboxed(
    installed: Installed, machine: Machine, figures: Figures, port_80: str, limit: float
) -> None:
    if port_80 == "socket":
        directory, drop_in = SOCKET_DROP_IN
        machine.write(f"{directory}/http-socket.conf", (machine.root / drop_in[1:]).read_text())
    machine.boot()

    score = exposure(machine)

    figures.add(f"{installed.suite}: systemd-analyze security, port 80 by {port_80}", score, "")
    assert score <= limit


def test_the_daemons_account_has_no_other_rights(enrolled: Site) -> None:
    process = enrolled.machine.shown(SERVICE, "MainPID")
    told = dict(
        line.split(":\t", 1)
        for line in enrolled.machine.must("cat", f"/proc/{process}/status").splitlines()
    )

    assert int(told["CapEff"], 16) == int(told["CapBnd"], 16) == 1 << 10, "CAP_NET_BIND_SERVICE"
    assert told["NoNewPrivs"] == "1"
    assert told["Seccomp"] == "2"
    assert "0" not in told["Uid"].split()
    assert "0" not in told["Gid"].split()


def test_the_daemons_account_cannot_choose_what_root_runs(enrolled: Site) -> None:
    machine = enrolled.machine
    for name in ("witness.service", "gatecert-reload@evil.path", "gatecert-reload@evil.service"):
        assert machine.run("test", "-e", f"/etc/systemd/system/{name}").exit_code != 0
    machine.write("/etc/systemd/system/witness.service", WITNESS)
    machine.must("systemctl", "daemon-reload")
    machine.must("systemctl", "start", "witness.service")
    machine.wait_for(lambda: machine.run("rm", "/srv/started").exit_code == 0, "the witness")
    machine.write("/srv/precious/file", "kept")
    environment = machine.shown(RELOAD, "Environment")

    for command in (
        ("systemctl", "reload", "witness.service"),
        ("systemctl", "restart", "witness.service"),
        ("systemctl", "reload", "ocserv.service"),
        ("systemctl", "start", "gatecert-reload@evil.service"),
        ("systemctl", "start", RELOAD),
        ("systemctl", "set-environment", "UNIT=witness.service"),
        ("systemctl", "edit", "--runtime", "--full", RELOAD),
        ("systemctl", "link", f"{GATEWAY}/evil.service"),
        ("systemctl", "set-property", "--runtime", RELOAD, "Environment=UNIT=witness.service"),
        ("systemd-run", "--quiet", "--wait", "touch", "/srv/started"),
        ("sudo", "--non-interactive", "touch", "/srv/started"),
    ):
        assert as_daemon(machine, *command).exit_code != 0, command
    for directory in UNITS_OF_ROOT:
        assert as_daemon(machine, "touch", f"{directory}/test.conf").exit_code != 0, directory
    assert as_daemon(machine, "sh", "-c", f"echo >>{CONFIGURATION}").exit_code != 0

    for wish in (
        "echo witness.service >$WISH",
        "printf 'UNIT=witness.service\\n' >$WISH",
        "ln -s /srv/precious/file $WISH",
        "ln -s /srv/precious $WISH",
        f"D={GATEWAY}/new; mkdir $D; ln -s /srv/precious $D/x; touch $D/'$(id)'; mv $D $WISH",
        f"mkdir -p {EVIL}; echo witness.service >{EVIL}/reload-wanted; touch $WISH",
    ):
        wish_and_wait(machine, wish)
    # The whole directory becomes a link to a file of root.
    as_daemon(machine, "sh", "-c", f"mv {GATEWAY} {GATEWAY}.away && ln -s /srv/precious {GATEWAY}")
    machine.must("touch", "/srv/precious/reload-wanted")
    machine.wait_for(
        lambda: machine.shown(RELOAD, "Result") != "success", "the reload to be refused"
    )
    assert machine.run("test", "-e", "/srv/precious/reload-wanted").exit_code == 0
    machine.must("rm", "/srv/precious/reload-wanted")

    assert machine.must("find", "/srv", "-type", "f") == "/srv/precious/file\n"
    assert machine.must("stat", "--format=%U", "/srv/precious/file") == "root\n"
    assert machine.shown("witness.service", "NRestarts") == "0"
    assert machine.shown(RELOAD, "Environment") == environment
    told = machine.journal("--unit", RELOAD)
    assert {entry["_UID"] for entry in told} <= {"0", machine.must("id", "-u", "gatecert").strip()}
    assert machine.said("ocserv.service", "Reloaded ocserv.service"), "what root named"


def wish_and_wait(machine: Machine, command: str) -> None:
    """Request a reload as the daemon's account, in any form, and wait until it is taken."""
    wish = f"{GATEWAY}/reload-wanted"
    made = as_daemon(machine, "sh", "-c", f"WISH={wish}; {command}")
    assert made.exit_code == 0, made.errors
    machine.wait_for(
        lambda: machine.run("sh", "-c", f"test -e {wish} || test -L {wish}").exit_code != 0,
        f"the wish to be taken: {command}",
    )


def test_root_becomes_the_owner_before_it_writes(enrolled: Site) -> None:
    machine = enrolled.machine
    # Root without CAP_CHOWN: files that belong to the daemon afterwards always did.
    root = ("setpriv", "--bounding-set=-chown,-fowner,-dac_override")

    for command in (
        ("enroll", "--force", BOSTON),
        ("status",),
        ("status", "--json"),
        ("doctor",),
        ("check",),
    ):
        done = machine.run(*root, "gatecert", *command)
        assert done.exit_code == 0, (command, done.errors, done.output)

    assert enrolled.pebble.orders() == 2
    strangers = machine.must("find", "/var/lib/gatecert", "!", "-user", "gatecert")
    assert strangers == ""
    enrolled.wait_settled()
    machine.must("systemctl", "restart", SERVICE)
    enrolled.wait_settled()


def test_files_of_a_first_command_of_root_belong_to_the_daemon(site: Site) -> None:
    machine = site.machine
    machine.must_offline("systemctl", "disable", SERVICE)
    machine.drop_in("ocserv.service", "[Service]\nRestart=always\nRestartSec=200ms\n")
    machine.drop_in("ocserv.service", "[Unit]\nStartLimitIntervalSec=0\n", name="limit.conf")
    site.names.point(HOSTNAME, "127.0.0.1")
    machine.boot()
    machine.wait_idle()

    machine.must("gatecert", "enroll")
    site.wait_trusted()
    machine.must("systemctl", "start", SERVICE)
    site.wait_settled()
    assert site.pebble.orders() == 1
    assert machine.must("find", "/var/lib/gatecert", "!", "-user", "gatecert") == ""


def test_secrets_as_systemd_credentials(enrolled: Site) -> None:
    machine = enrolled.machine
    machine.write("/etc/gatecert/p12-password", "correct horse\n", mode=0o600)
    machine.drop_in(
        SERVICE,
        "[Service]\nLoadCredential=p12:/etc/gatecert/p12-password\nReadWritePaths=/srv\n",
        name="secret.conf",
    )
    machine.must("install", "-d", "-o", "gatecert", "/srv/copies")
    enrolled.gateway["install"]["copy_to"] = [
        {
            "path": "/srv/copies/boston.p12",
            "contents": "pkcs12",
            "password_file": "credential:p12",
        }
    ]
    enrolled.configure()

    machine.must("systemctl", "daemon-reload")
    machine.must("systemctl", "restart", SERVICE)
    machine.wait_for(
        lambda: machine.run("test", "-s", "/srv/copies/boston.p12").exit_code == 0, "the copy"
    )

    assert as_daemon(machine, "cat", "/etc/gatecert/p12-password").exit_code != 0
    opened = machine.must(
        *("python3", "-IS", "-c", OPEN_PKCS12, "/srv/copies/boston.p12", "correct horse")
    )
    assert json.loads(opened) == HOSTNAME
    machine.must("systemctl", "reload", SERVICE)
    machine.must("gatecert", "check")
    entries = machine.must("journalctl", "--boot", "--output=json", "--unit", SERVICE)
    assert "correct horse" not in entries
    assert enrolled.pebble.orders() == 1


OPEN_PKCS12 = """\
import json, sys
sys.path.insert(0, "/usr/lib/gatecert/python")
from cryptography import x509
from cryptography.hazmat.primitives.serialization.pkcs12 import load_pkcs12
opened = load_pkcs12(open(sys.argv[1], "rb").read(), sys.argv[2].encode())
names = opened.cert.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
print(json.dumps(names.value.get_values_for_type(x509.DNSName)[0]))
"""


def test_port_80_without_capabilities(site: Site) -> None:
    machine = site.machine
    directory, drop_in = SOCKET_DROP_IN
    machine.must_offline("install", "-D", "-m", "0644", drop_in, f"{directory}/http-socket.conf")
    machine.enable("gatecert-http.socket")
    site.names.point(HOSTNAME, "127.0.0.1")

    machine.boot()
    site.wait_trusted()
    site.wait_settled()

    process = machine.shown(SERVICE, "MainPID")
    told = machine.must("cat", f"/proc/{process}/status")
    assert "CapEff:\t0000000000000000" in told
    assert "CapBnd:\t0000000000000000" in told
    assert site.pebble.orders() == 1
    assert machine.said(SERVICE, "answering http-01 on sockets of systemd")
    assert machine.must("stat", "--format=%a %U:%G", f"{LIVE}/privkey.pem").split()[0] == "640"
