"""Another user binds the port that a server forwards challenges to, and answers the CA.

The servers run with the files of docs/challenges. The attacker is lego, with an account of its own,
and a program that tries to bind the port in every way all the time.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest

from harness.other_clients import CACHE
from harness.ports import free_port
from harness.process import BackgroundProcess
from harness.recipe import Recipe
from harness.waiting import wait_until

from .conftest import User

if TYPE_CHECKING:
    from harness.challenge_test_server import ChallengeTestServer
    from harness.gatecert import Gatecert
    from harness.pebble import Pebble
    from harness.server import Server

pytestmark = pytest.mark.xdist_group("ports of the recipes")

BOSTON = "boston"
HOSTNAME = "gate.example.com"
# Binds the port in every way, and says so.
SQUAT = """\
import itertools, socket, sys
port = int(sys.argv[1])
options = [socket.SO_REUSEADDR, socket.SO_REUSEPORT]
ways = [chosen for count in range(3) for chosen in itertools.combinations(options, count)]
hosts = ["127.0.0.1", "0.0.0.0", "::", "::ffff:127.0.0.1"]
print("begun", flush=True)
while True:
    for host, way in itertools.product(hosts, ways):
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as attempt:
            if ":" in host:
                attempt.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            for option in way:
                attempt.setsockopt(socket.SOL_SOCKET, option, 1)
            try:
                attempt.bind((host, port))
                attempt.listen()
            except OSError:
                continue
            print("bound", host, *way, flush=True)
"""


@dataclass(frozen=True)
class Front:
    """A server that forwards challenges of a type to gatecert.

    Attributes:
        recipe: Its file in docs/challenges.
        kind: The challenge type.
        forwarded: Where it forwards them to, in that file.
    """

    recipe: str
    kind: str
    forwarded: str

    def server(self, directory: Path, pebble: Pebble, own: int) -> Server:
        """Return the server, at the port that the CA connects to."""
        http = self.kind == "http-01"
        public = pebble.ports.http01 if http else pebble.ports.tls_alpn01
        places = {
            "0.0.0.0:80" if http else "0.0.0.0:443": f"127.0.0.1:{public}",
            "[::]:80" if http else "[::]:443": "",
            self.forwarded: f"127.0.0.1:{own}",
        }
        if not http:
            places["127.0.0.1:8443"] = f"127.0.0.1:{free_port()}"
        return Recipe(directory, self.recipe, port=public, places=places)

    @property
    def port(self) -> int:
        """The port that the recipe forwards to."""
        return int(self.forwarded.rpartition(":")[2])


NGINX = Front("nginx-http-01-proxy.conf", "http-01", "127.0.0.1:888")
NGINX_TLS = Front("nginx-tls-alpn-01.conf", "tls-alpn-01", "127.0.0.1:844")
HAPROXY_TLS = Front("haproxy-tls-alpn-01.cfg", "tls-alpn-01", "127.0.0.1:844")
FRONTS = pytest.mark.parametrize(
    ("front", "own"),
    [
        pytest.param(front, own, id=f"{front.recipe}-{own or 'unprivileged'}")
        for front in (NGINX, NGINX_TLS, HAPROXY_TLS)
        for own in (0, front.port)
    ],
)


def protect(gatecert: Gatecert, kind: str, *ports: int) -> None:
    """Start a daemon that listens there, and wait until it has enrolled and validates nothing."""
    listen = [f"127.0.0.1:{port}" for port in ports]
    gatecert.configuration["challenges"] = {kind: {"listen": listen}}
    gatecert.configuration["worker"] = {"idle": "1s"}
    gatecert.add_gateway(BOSTON, HOSTNAME, challenge=kind).start()
    gatecert.wait_enrolled(BOSTON, seconds=60)
    gatecert.wait_no_workers()


@pytest.fixture
def prepared(gatecert: Gatecert, pebble: Pebble, names: ChallengeTestServer) -> Gatecert:
    names.point(HOSTNAME, "127.0.0.1")
    gatecert.use(pebble, names)
    gatecert.configuration["resolver"]["interval"] = "1h"
    return gatecert


@dataclass
class Squatter:
    """Binds ports as another user."""

    user: User
    directory: Path
    servers: ExitStack

    def begin(self, port: int) -> BackgroundProcess:
        """Try to bind a port all the time."""
        process = self._start("-c", SQUAT, str(port))
        wait_until(lambda: "begun" in process.output, "the attacker")
        return process

    def obtain(self, pebble: Pebble, kind: str, port: int) -> bool:
        """Order a certificate for the gateway's name with lego; return whether it got one."""
        home = self.directory / "lego"
        home.mkdir()
        self.user.own(home)
        lego = shutil.copy(CACHE / "lego" / "lego", self.directory / "program")
        trusted = Path(shutil.copy(pebble.https_certificate, self.directory))
        trusted.chmod(0o644)
        way = ["--tls", f"--tls.port=127.0.0.1:{port}"]
        if kind == "http-01":  # lego's own server looks at Host, which the server in front changes
            way = ["--http", f"--http.webroot={home}"]
            self._serve(home, port)
        before = pebble.certificates()
        self.user.run(
            lego,
            f"--server={pebble.directory_url}",
            "--accept-tos",
            "--email=attacker@attacker.example",
            f"--path={home}",
            *way,
            f"--domains={HOSTNAME}",
            "run",
            environment={"LEGO_CA_CERTIFICATES": str(trusted), "HOME": str(home)},
        )
        return pebble.certificates() > before or any(home.rglob("*.crt"))

    def _serve(self, directory: Path, port: int) -> None:
        """Serve files over HTTP, if the port can be bound."""
        where = ("--bind=127.0.0.1", f"--directory={directory}", str(port))
        server = self._start("-u", "-m", "http.server", *where)
        wait_until(lambda: not server.alive or "Serving" in server.output, "the server")

    def _start(self, *arguments: str) -> BackgroundProcess:
        """Start Python as the user."""
        ids = (f"--reuid={self.user.number}", f"--regid={self.user.number}", "--clear-groups")
        process = BackgroundProcess(
            ["setpriv", *ids, "/usr/bin/python3", *arguments], log=self.directory / "python.log"
        )
        return self.servers.enter_context(process)


@pytest.fixture
def squatter(attacker: User, servers: ExitStack) -> Squatter:
    # Not below pytest's own directory, which every start of pytest closes to other users.
    directory = Path(servers.enter_context(TemporaryDirectory(prefix="gatecert-")))
    directory.chmod(0o711)
    return Squatter(attacker, directory, servers)


@FRONTS
@pytest.mark.attack("obtain a certificate at the port that a server forwards challenges to")
def test_another_user_obtains_no_certificate(
    prepared: Gatecert,
    pebble: Pebble,
    servers: ExitStack,
    squatter: Squatter,
    tmp_path: Path,
    front: Front,
    own: int,
) -> None:
    own = own or free_port()
    servers.enter_context(front.server(tmp_path / "front", pebble, own))
    protect(prepared, front.kind, own)

    assert not squatter.obtain(pebble, front.kind, own)

    renewed = prepared.run("enroll", "--force", BOSTON)
    assert renewed.exit_code == 0, renewed.errors
    assert pebble.certificates() == 2


@FRONTS
@pytest.mark.attack("keep gatecert from renewing by taking the port that challenges go to")
def test_another_user_cannot_take_the_port(
    prepared: Gatecert,
    pebble: Pebble,
    names: ChallengeTestServer,
    servers: ExitStack,
    squatter: Squatter,
    tmp_path: Path,
    front: Front,
    own: int,
) -> None:
    own = own or free_port()
    servers.enter_context(front.server(tmp_path / "front", pebble, own))
    protect(prepared, front.kind, own)
    attempts = squatter.begin(own)

    renewed = prepared.run("enroll", "--force", BOSTON)
    assert renewed.exit_code == 0, renewed.errors
    names.point("paris.example.com", "127.0.0.1")
    prepared.add_gateway("paris", "paris.example.com", challenge=front.kind).reload()
    prepared.wait_enrolled("paris", seconds=60)

    assert attempts.alive
    assert "bound" not in attempts.output


@pytest.mark.attack("take the port while the daemon reads its configuration or replaces a worker")
@pytest.mark.parametrize("kind", ["http-01", "tls-alpn-01"])
def test_the_port_stays_open(
    prepared: Gatecert, pebble: Pebble, squatter: Squatter, kind: str
) -> None:
    kept = pebble.ports.http01 if kind == "http-01" else pebble.ports.tls_alpn01
    gone, new = free_port(), free_port()
    protect(prepared, kind, kept, gone)
    attempts = squatter.begin(kept)

    prepared.configuration["challenges"][kind]["listen"] = [
        f"127.0.0.1:{port}" for port in (kept, new)
    ]
    prepared.reload()
    prepared.wait_logged("configuration reloaded")
    (worker,) = prepared.workers()
    os.kill(worker, signal.SIGKILL)
    prepared.wait_logged("worker lost")

    def listens(port: int) -> bool:
        try:
            socket.create_connection(("127.0.0.1", port), 5).close()
        except ConnectionRefusedError:
            return False
        return True

    assert [listens(port) for port in (kept, gone, new)] == [True, False, True]
    assert "bound" not in attempts.output
    prepared.process.stop()
    wait_until(lambda: "bound" in attempts.output, "the port to be free")
