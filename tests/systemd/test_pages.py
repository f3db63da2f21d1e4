"""The configuration and commands of each page of docs/gateways, with the package.

strongSwan does ESP in user space (kernel-libipsec), so the test also runs on a kernel without it.
"""

from __future__ import annotations

import re
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from ssl import SSLCertVerificationError
from typing import TYPE_CHECKING, Protocol

import pytest
import yaml
from tests.gateways.test_openvpn import READY
from tests.gateways.test_openvpn import client as openvpn_client
from tests.gateways.test_strongswan import DAEMON
from tests.gateways.test_strongswan import Client as StrongSwanClient

from harness.challenge_test_server import ChallengeTestServer
from harness.machine.booted import Machine
from harness.machine.site import BOSTON, HOSTNAME, Site
from harness.mail import PORTS, begin_tls, connect
from harness.neighbour import Neighbour, run
from harness.pebble import Pebble, PebbleOptions, PebblePorts
from harness.users import User, make_user
from harness.waiting import wait_until

from .conftest import PROJECT

if TYPE_CHECKING:
    from .conftest import Installed

PAGES = "/usr/share/doc/gatecert/docs/gateways"
PACKAGED = re.compile(r"^## Packaged service\n(.*?)^## ", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SERVICE = "gatecert.service"
INSIDE = "203.0.113.1"  # a host behind the gateway


@dataclass
class Visit:
    """A page on the machine, with its user and servers."""

    site: Site
    user: User
    servers: ExitStack
    directory: Path

    def neighbour(self) -> Neighbour:
        """The users' host; the network behind the gateway has one host."""
        run("ip", "address", "add", f"{INSIDE}/32", "dev", "lo")
        self.servers.callback(run, "ip", "address", "delete", f"{INSIDE}/32", "dev", "lo")
        return self.servers.enter_context(Neighbour(self.directory / "neighbour"))


class Logs(Protocol):
    """A function that returns True if a user can connect."""

    def __call__(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Page:
    """A page, and the test's additions.

    Attributes:
        before: Shell commands of Debian or the operator before.
        answers: Standard input of the commands.
        common_name: True if the certificate must have one.
        files: Files for the client CA.
    """

    name: str
    before: str = ""
    answers: str = ""
    common_name: bool = False
    files: tuple[str, ...] = ()

    def users(self, visit: Visit) -> Logs:
        """Return a function that connects as a user of this gateway."""
        return {
            "openvpn": _openvpn,
            "strongswan": _strongswan,
            "ocserv": _anyconnect,
            "mail": _mail,
        }.get(self.name, _browser)(visit)


PLAYED = (
    Page("nginx", before="systemctl enable --quiet --now nginx"),
    Page("apache", before="systemctl enable --quiet --now apache2"),
    Page("mail", before="systemctl enable --quiet --now postfix dovecot"),
    Page("haproxy", before="systemctl enable --quiet haproxy"),
    Page("ocserv", before="systemctl enable --quiet ocserv", answers="secret\nsecret\n"),
    Page("openvpn", common_name=True, files=("/etc/openvpn/users-ca.pem",)),
    Page(
        "strongswan",
        before="systemctl enable --quiet strongswan",
        files=("/etc/swanctl/x509ca/users.pem",),
    ),
)


def _browser(visit: Visit) -> Logs:
    return lambda: visit.site.served(trusted=True) is not None


def _mail(visit: Visit) -> Logs:
    return lambda: all(_is_trusted(port, visit.site.pebble.root) for port in PORTS)


def _is_trusted(port: int, root: Path) -> bool:
    with connect(port) as connection:
        try:
            begin_tls(connection, port, HOSTNAME, root).close()
        except SSLCertVerificationError:
            return False
    return True


def _anyconnect(visit: Visit) -> Logs:
    visit.site.credentials = type(visit.site.credentials)("alice", "secret")
    return lambda: visit.site.log_in().trusted


def _openvpn(visit: Visit) -> Logs:
    neighbour = visit.neighbour()

    def gets_in() -> bool:
        with neighbour.background(*openvpn_client(visit.site.pebble.root, visit.user)) as tunnel:
            wait_until(
                lambda: READY in tunnel.output or "VERIFY ERROR" in tunnel.output,
                "an answer of OpenVPN",
                seconds=30.0,
                explain=tunnel.tail,
            )
            return READY in tunnel.output

    return gets_in


def _strongswan(visit: Visit) -> Logs:
    client = StrongSwanClient(
        visit.neighbour(), visit.directory / "client", visit.user, visit.site.pebble.root
    )
    visit.servers.push(client.process.__exit__)
    client.start()

    def gets_in() -> bool:
        if "initiate completed successfully" not in client.connect():
            return False
        client.disconnect()
        return True

    return gets_in


@pytest.fixture
def visit(installed: Installed, page: Page, servers: ExitStack, tmp_path: Path) -> Visit:
    """A machine on which nothing is set up, running; it may create tunnels."""
    names = servers.enter_context(ChallengeTestServer(tmp_path / "names"))
    pebble = servers.enter_context(
        Pebble(
            tmp_path / "pebble",
            dns_server=names.address,
            ports=PebblePorts(http01=80, tls_alpn01=443),
            options=PebbleOptions(
                rejected_nonces=0, reused_authorizations=0, common_name=page.common_name
            ),
        )
    )
    # Stops first: gatecert ends at once while the nameserver answers.
    machine = servers.enter_context(
        Machine(installed.layers, tmp_path / "machine", "--capability=CAP_NET_ADMIN")
    )
    user = make_user(tmp_path / "user", "alice")
    machine.write("/etc/strongswan.conf", DAEMON.format(socket="/run/charon.vici"))
    for file in page.files:
        machine.write(file, user.authority.read_text("ascii"))
    machine.boot()
    machine.wait_idle()
    return Visit(Site(machine, pebble, names), user, servers, tmp_path)


def test_every_page_is_tested() -> None:
    pages = {path.stem for path in (PROJECT / "docs/gateways").glob("*.md")} - {"README"}
    assert {page.name for page in PLAYED} == pages


@pytest.mark.parametrize("page", PLAYED, ids=lambda page: page.name)
def test_the_page_as_written(page: Page, visit: Visit) -> None:
    site, machine = visit.site, visit.site.machine
    machine.must("sh", "-ec", page.before)
    (packaged,) = PACKAGED.findall(machine.must("cat", f"{PAGES}/{page.name}.md"))
    blocks = BLOCK.findall(packaged)
    settings = yaml.safe_load(next(text for language, text in blocks if language == "yaml"))
    settings["gateways"][BOSTON]["addresses"] = ["127.0.0.1"]
    site.configuration.update(settings)
    site.configure()

    for commands in (text for language, text in blocks if language == "sh"):
        machine.must("sh", "-ec", commands, text=page.answers)
    gets_in = page.users(visit)

    assert not gets_in(), "the bootstrap certificate, which nobody trusts"
    site.names.point(HOSTNAME, "127.0.0.1")
    site.wait_settled()
    first = site.live()
    assert gets_in()

    renewed = machine.run("gatecert", "enroll", "--force", BOSTON)

    assert renewed.exit_code == 0, renewed.errors
    assert site.status()["state"] == "trusted"
    assert site.live() != first
    assert gets_in()
    assert machine.must("systemctl", "--failed", "--plain", "--no-legend") == ""
    machine.must("gatecert", "check")

    machine.reboot()
    machine.wait_idle()
    site.wait_settled()

    assert gets_in()
    assert machine.must("systemctl", "--failed", "--plain", "--no-legend") == ""
    assert site.pebble.orders() == 2
