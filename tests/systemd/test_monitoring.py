"""Metrics, status page and notifications of the packaged service."""

from __future__ import annotations

import re
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from harness.machine.site import BOSTON, HOSTNAME
from harness.mailbox import Mailbox

if TYPE_CHECKING:
    from contextlib import ExitStack

    from harness.machine.booted import Finished, Machine
    from harness.machine.site import Site

SERVICE: Final = "gatecert.service"
METRICS: Final = "127.0.0.1:9876"
SOCKET: Final = "/run/gatecert/page.sock"
URL: Final = "/etc/gatecert/mail.url"  # only root can read it
PAGE: Final = Path(__file__).parents[2] / "docs/systemd.md"
MEMBER: Final = ("--reuid=daemon", "--regid=gatecert", "--clear-groups")
ANY_USER: Final = ("--reuid=daemon", "--regid=daemon", "--clear-groups")
WEB_SERVER: Final = ("--reuid=www-data", "--regid=www-data", "--clear-groups")
ASK: Final = """\
import http.client, socket, sys
connection = http.client.HTTPConnection("localhost")
connection.sock = socket.socket(socket.AF_UNIX)
connection.sock.connect(sys.argv[1])
connection.request("GET", sys.argv[2])
answer = connection.getresponse()
print(answer.status, answer.read().decode())
"""


@pytest.fixture
def mailbox(servers: ExitStack) -> Mailbox:
    return servers.enter_context(Mailbox())


@pytest.fixture
def watched(site: Site, mailbox: Mailbox) -> Site:
    """The machine, still off, with all three; the first failure is mailed."""
    site.configuration |= {
        "metrics": {"listen": [METRICS]},
        "page": {"listen": [f"unix:{SOCKET}"]},
        "notify": [{"name": "mail", "url_file": "credential:mail", "failures": 1, "group": "1s"}],
    }
    site.configure()
    site.machine.write(URL, f"{mailbox.url}\n", mode=0o600)
    site.machine.drop_in(SERVICE, f"[Service]\nLoadCredential=mail:{URL}\n")
    return site


def ask(machine: Machine, account: tuple[str, ...], path: str, socket: str = SOCKET) -> Finished:
    """Ask the listener at a socket, as an account."""
    return machine.run("setpriv", *account, "/usr/bin/python3", "-c", ASK, socket, path)


def samples() -> str:
    """Return the metrics; empty while nothing answers."""
    try:
        with urllib.request.urlopen(f"http://{METRICS}/metrics", timeout=5) as answer:
            return str(answer.read().decode())
    except OSError:
        return ""


def wait_for_sample(machine: Machine, sample: str) -> None:
    machine.wait_for(lambda: f"\n{sample}\n" in samples(), f"the sample {sample}")


def monitor_of(machine: Machine) -> str:
    """Return the identifier of the monitor's process; empty if there is none."""
    return machine.run("pgrep", "--full", "gatecert.monitoring.monitor_process").output.strip()


TRUSTED: Final = f'gatecert_certificate_trusted{{gateway="{BOSTON}"}} 1.0'


def test_metrics_and_page_survive_a_restart_and_a_reload(watched: Site) -> None:
    machine = watched.machine
    watched.names.point(HOSTNAME, "127.0.0.1")
    machine.boot()
    watched.wait_trusted()
    wait_for_sample(machine, TRUSTED)

    for command in ("restart", "reload"):
        machine.must("systemctl", command, SERVICE)
        wait_for_sample(machine, TRUSTED)
        shown = ask(machine, MEMBER, "/").output
        assert shown.startswith("200 "), shown
        assert HOSTNAME in shown

    assert machine.run("test", "-e", SOCKET).exit_code == 0
    machine.must("systemctl", "stop", SERVICE)
    assert samples() == ""
    assert machine.run("test", "-e", "/run/gatecert").exit_code != 0
    assert watched.pebble.orders() == 1


@pytest.mark.on_one_debian
def test_a_failure_and_its_recovery_are_mailed_once_each(watched: Site, mailbox: Mailbox) -> None:
    machine = watched.machine
    # The CA asks at port 80, where nothing answers.
    watched.configuration["challenges"] = {"http-01": {"listen": ["127.0.0.1:8080"]}}
    watched.configure()
    watched.names.point(HOSTNAME, "127.0.0.1")
    machine.boot()
    machine.wait_for(lambda: len(mailbox.subjects) == 1, "the mail about the failure", seconds=90)
    assert BOSTON in mailbox.texts[0]

    machine.must("systemctl", "restart", SERVICE)
    del watched.configuration["challenges"]
    watched.configure()
    machine.must("systemctl", "reload", SERVICE)
    machine.must("gatecert", "enroll", "--force", BOSTON)
    watched.wait_trusted()

    machine.wait_for(lambda: len(mailbox.subjects) > 1, "the mail about the recovery", seconds=90)
    watched.wait_settled()
    assert len(mailbox.subjects) == 2, mailbox.subjects
    assert "recovered" in mailbox.subjects[1]
    journal = "".join(str(entry) for entry in machine.journal("--unit", SERVICE))
    assert mailbox.secret not in journal
    assert mailbox.secret not in machine.must("gatecert", "status", "--json")


@pytest.mark.on_one_debian
def test_a_lost_monitor_is_replaced_and_the_service_stays(watched: Site) -> None:
    machine = watched.machine
    watched.names.point(HOSTNAME, "127.0.0.1")
    machine.boot()
    watched.wait_trusted()
    wait_for_sample(machine, TRUSTED)
    core, monitor = machine.shown(SERVICE, "MainPID"), monitor_of(machine)

    machine.must("kill", "-KILL", monitor)

    machine.wait_for(lambda: monitor_of(machine) not in {"", monitor}, "another monitor")
    wait_for_sample(machine, TRUSTED)
    assert machine.shown(SERVICE, "MainPID") == core
    assert machine.shown(SERVICE, "NRestarts") == "0"
    assert watched.pebble.orders() == 1


@pytest.mark.on_one_debian
def test_a_socket_is_for_members_of_the_group(watched: Site) -> None:
    machine = watched.machine
    machine.boot()
    machine.wait_for(lambda: ask(machine, MEMBER, "/healthz").output, "the page at its socket")

    assert ask(machine, MEMBER, "/healthz").output.startswith("200 ")
    refused = ask(machine, ANY_USER, "/healthz")
    assert "PermissionError" in refused.errors


@pytest.mark.on_one_debian
def test_a_socket_for_another_group_as_the_page_says(watched: Site) -> None:
    machine = watched.machine
    directory, drop_in = re.findall(
        r"\n    (d /run/gatecert-page [^\n]*)\n(?:.*?)\n    (ReadWritePaths=/run/gatecert-page)\n",
        PAGE.read_text("utf-8"),
        re.DOTALL,
    )[0]
    machine.write("/etc/tmpfiles.d/gatecert-page.conf", f"{directory}\n")
    machine.drop_in(SERVICE, f"[Service]\n{drop_in}\n", name="page.conf")
    watched.configuration["page"]["listen"] = ["unix:/run/gatecert-page/page.sock"]
    watched.configure()
    machine.boot()

    def asked(account: tuple[str, ...]) -> Finished:
        return ask(machine, account, "/healthz", "/run/gatecert-page/page.sock")

    machine.wait_for(lambda: asked(WEB_SERVER).output, "the page at its socket")
    assert asked(WEB_SERVER).output.startswith("200 ")
    assert asked(ANY_USER).exit_code != 0


@pytest.mark.on_one_debian
def test_a_textfile_in_the_directory_of_the_node_exporter(watched: Site) -> None:
    machine = watched.machine
    collected = "/var/lib/prometheus/node-exporter"
    machine.write("/etc/tmpfiles.d/collected.conf", f"d {collected} 0755 gatecert gatecert\n")
    machine.drop_in(SERVICE, f"[Service]\nReadWritePaths={collected}\n", name="textfile.conf")
    watched.configuration["metrics"]["textfile"] = f"{collected}/gatecert.prom"
    watched.configure()
    machine.boot()

    def written() -> str:
        return machine.run("setpriv", *ANY_USER, "cat", f"{collected}/gatecert.prom").output

    machine.wait_for(lambda: "gatecert_gateways_configured 1" in written(), "the textfile")
