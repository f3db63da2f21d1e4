"""``gatecert init`` on a clean Debian, as an operator runs it after the installation.

The CA, the nameserver and the clients share the machine's loopback device, which has one more
address, a public one: the test's own network namespace leads nowhere.
"""

from __future__ import annotations

import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pytest

from harness.challenge_test_server import ChallengeTestServer
from harness.handshake import served_certificate
from harness.machine.booted import Machine
from harness.neighbour import run
from harness.pebble import Pebble, PebbleOptions, PebblePorts

if TYPE_CHECKING:
    from contextlib import ExitStack
    from pathlib import Path

    from harness.machine.booted import Finished

    from .conftest import Figures, Installed

HOSTNAME: Final = "gate.widgets.dynamic-m.com"
PUBLIC: Final = "45.33.32.10"  # of this namespace alone
CONTACT: Final = "ops@widgets.dynamic-m.com"
CONFIGURATION: Final = "/etc/gatecert/config.yaml"
LIVE: Final = "/var/lib/gatecert/gateways/gate/live"
MOST_COMMANDS, MOST_ANSWERS, MOST_SECONDS = 2, 3, 60.0
SNAKE_OIL: Final = (
    "openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=old "
    "-keyout /etc/ssl/old.pem -out /etc/ssl/old.crt && cat /etc/ssl/old.crt >>/etc/ssl/old.pem"
)
HAPROXY_FRONTEND: Final = """
frontend web
    bind :80
    bind :443 ssl crt /etc/ssl/old.pem
    http-request return status 200 content-type text/plain string "gate"
"""


@dataclass
class Operator:
    """An operator at a machine, with the CA and the nameserver outside.

    Attributes:
        commands: The commands so far.
        answers: The answers to questions so far.
    """

    machine: Machine
    pebble: Pebble
    names: ChallengeTestServer
    commands: int = 0
    answers: int = 0

    def init(self, *options: str, answers: tuple[str, ...] = ()) -> Finished:
        """Run the command, with answers at a terminal, or else with ``--yes``."""
        argv = ["gatecert", "init", "--directory-url", self.pebble.directory_url]
        argv += ["--ca-bundle", "/root/authority.pem", "--trusted-roots", "/root/root.pem"]
        self.commands += 1
        if not answers:
            return self.machine.run(*argv, "--yes", "--agree-terms", "--contact", CONTACT, *options)
        self.answers += len(answers)
        # script(1) gives it a terminal, and types as soon as a question is there.
        text = "".join(f"{answer}\n" for answer in answers)
        command = " ".join([*argv, *options])
        return self.machine.run("script", "-qec", command, "/dev/null", text=text)

    def serves(self, port: int = 443) -> bool:
        """Tell whether a client that trusts the CA accepts the server."""
        try:
            return bool(served_certificate(PUBLIC, port, HOSTNAME, trusted=self.pebble.root))
        except OSError:
            return False


@pytest.fixture
def operator(installed: Installed, servers: ExitStack, tmp_path: Path) -> Operator:
    """A machine with the package installed, on which nothing is set up; its name points here."""
    run("ip", "address", "add", f"{PUBLIC}/32", "dev", "lo")
    servers.callback(run, "ip", "address", "delete", f"{PUBLIC}/32", "dev", "lo")
    names = servers.enter_context(ChallengeTestServer(tmp_path / "names", dns_port=53))
    names.point(HOSTNAME, PUBLIC)
    pebble = servers.enter_context(
        Pebble(
            tmp_path / "pebble",
            dns_server=names.address,
            ports=PebblePorts(http01=80, tls_alpn01=443),
            options=PebbleOptions(rejected_nonces=0, reused_authorizations=0),
        )
    )
    machine = servers.enter_context(Machine(installed.layers, tmp_path / "machine"))
    machine.write("/etc/resolv.conf", "nameserver 127.0.0.1\n")
    machine.write("/etc/hosts", "127.0.0.1 localhost\n")
    for name, source in (("authority", pebble.https_certificate), ("root", pebble.root)):
        machine.write(f"/root/{name}.pem", source.read_text("ascii"))
    return Operator(machine, pebble, names)


def nginx(operator: Operator) -> None:
    operator.machine.enable("nginx.service")


def ocserv(operator: Operator) -> None:
    subprocess.run(
        ["ocpasswd", "-c", operator.machine.root / "etc/ocserv/passwd", "alice"],
        input="secret\nsecret\n",
        text=True,
        check=True,
        capture_output=True,
        timeout=10,
    )
    operator.machine.enable("ocserv.service")


def haproxy(operator: Operator) -> None:
    machine = operator.machine
    before = (machine.root / "etc/haproxy/haproxy.cfg").read_text("utf-8")
    machine.write("/etc/haproxy/haproxy.cfg", before + HAPROXY_FRONTEND)
    machine.must_offline("sh", "-c", SNAKE_OIL)
    machine.enable("haproxy.service")


CLEAN: Final = {"nginx": nginx, "ocserv": ocserv, "haproxy": haproxy}


@pytest.mark.parametrize("server", CLEAN)
def test_two_commands_and_three_answers_from_a_clean_debian(
    server: str, operator: Operator, installed: Installed, figures: Figures
) -> None:
    CLEAN[server](operator)
    machine = operator.machine.boot()
    machine.wait_idle()
    operator.commands += 1  # the installation of the package

    started = time.monotonic()
    shown = operator.init(answers=(HOSTNAME, CONTACT, "y"))
    seconds = installed.seconds + time.monotonic() - started

    assert shown.exit_code == 0, shown.output
    assert operator.serves(), shown.output
    assert operator.commands <= MOST_COMMANDS
    assert operator.answers <= MOST_ANSWERS
    assert seconds <= MOST_SECONDS
    figures.add(f"{installed.suite}: {server} from a clean Debian to proven", seconds)
    machine.must("gatecert", "check")
    before = operator.pebble.orders()
    assert before == 1

    renewed = machine.run("gatecert", "enroll", "--force", "gate")

    assert renewed.exit_code == 0, renewed.errors
    machine.reboot()
    machine.wait_idle()
    machine.wait_for(operator.serves, "the certificate after a restart of the host")
    machine.wait_active("gatecert.service")
    assert machine.must("systemctl", "--failed", "--plain", "--no-legend") == ""
    assert operator.pebble.orders() == 2
