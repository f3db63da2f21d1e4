"""A gateway's container that an attacker has taken over, in each file of container/.

It sees its own gateway's directory and nothing else of gatecert. The attacker is the user whom the
file names, or root without capabilities, the most that a program in such a container can become.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from tests.container.conftest import BOSTON, Outside, begin_pod

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.container.conftest import Pair

    from harness.compose import Compose
    from harness.container import Container, Sidecar
    from harness.pod import Pod

DENVER: Final = "denver"
ITS_OWN_USER: Final = ()
ROOT_WITHOUT_CAPABILITIES: Final = ("--user=0:10001",)
ATTACKERS: Final = (ITS_OWN_USER, ROOT_WITHOUT_CAPABILITIES)
# The largest file of the state directory is a fraction of that.
DIGESTS: Final = """
import glob, hashlib, json, os

found = {}
for top in ("/", *glob.glob("/proc/[0-9]*/root/var/lib/gatecert"), *glob.glob("/proc/[0-9]*/cwd/")):
    for directory, within, files in os.walk(top):
        if directory == "/":
            within[:] = set(within) - {"proc", "sys"}
        for name in files:
            path = os.path.join(directory, name)
            try:
                if os.path.isfile(path) and os.path.getsize(path) < 100_000:
                    found[hashlib.sha256(open(path, "rb").read()).hexdigest()] = path
            except OSError:
                pass
print(json.dumps(found))
"""
SEIZE: Final = """
import ctypes, json, os, signal, sys

ATTACH, DETACH = 16, 17
wanted = sys.argv[1]
libc = ctypes.CDLL(None)


def attach(process):
    if libc.ptrace(ATTACH, process, 0, 0):
        raise PermissionError
    os.waitpid(process, 0)
    libc.ptrace(DETACH, process, 0, 0)


attempts = {
    "environ": lambda process: open(f"/proc/{process}/environ", "rb").read(),
    "mem": lambda process: open(f"/proc/{process}/mem", "rb"),
    "root": lambda process: os.listdir(f"/proc/{process}/root/"),
    "cwd": lambda process: os.readlink(f"/proc/{process}/cwd"),
    "ptrace": attach,
    "signal": lambda process: os.kill(process, 0),
}
seen, done = 0, set()
for process in filter(str.isdigit, os.listdir("/proc")):
    try:
        command = open(f"/proc/{process}/cmdline").read()
    except OSError:
        continue
    if command.replace("\\0", " ") == wanted:
        seen += 1
        for name, attempt in attempts.items():
            try:
                attempt(int(process))
                done.add(name)
            except OSError:
                pass
capabilities = [line for line in open("/proc/self/status") if line.startswith("CapEff")]
print(json.dumps([seen, sorted(done), int(capabilities[0].split()[1], 16)]))
"""
CHANGE: Final = """
import ctypes, fcntl, json, os, sys

directory = sys.argv[1]
libc = ctypes.CDLL(None)


def remount():
    if libc.mount(None, directory.encode(), None, 0x20 | 0x1000, None):
        raise PermissionError


def unmount():
    if libc.umount2(directory.encode(), 2):
        raise PermissionError


def lock(name):
    fcntl.flock(os.open(f"{directory}/{name}", os.O_RDONLY), fcntl.LOCK_EX | fcntl.LOCK_NB)


def live_elsewhere():
    os.symlink("versions/attacker", f"{directory}/new")
    os.rename(f"{directory}/new", f"{directory}/live")


attempts = {
    "a new file": lambda: open(f"{directory}/new", "w"),
    "live elsewhere": live_elsewhere,
    "no live": lambda: os.unlink(f"{directory}/live"),
    "another certificate": lambda: open(f"{directory}/live/fullchain.pem", "r+"),
    "another mode": lambda: os.chmod(f"{directory}/live/privkey.pem", 0o666),
    "another time": lambda: os.utime(f"{directory}/live/fullchain.pem"),
    "the gateway's lock": lambda: lock("lock"),
    "the gateway's state": lambda: open(f"{directory}/state.json"),
    "a writable mount": remount,
    "no mount": unmount,
    "another user": lambda: os.setuid(10001),
}
done = []
for name, attempt in attempts.items():
    try:
        attempt()
        done.append(name)
    except OSError:
        pass
print(json.dumps(done))
"""

BIND: Final = """
import json, socket

done = []
for family, address in (
    (socket.AF_INET, "0.0.0.0"),
    (socket.AF_INET, "127.0.0.1"),
    (socket.AF_INET6, "::"),
    (socket.AF_INET6, "::1"),
):
    with socket.socket(family) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        try:
            listener.bind((address, 8080))
            listener.listen()
            done.append(address)
        except OSError:
            pass
print(json.dumps(done))
"""


class WithDenver(Outside):
    """A second gateway, whose key the same group may read."""

    def adapt(self, configuration: dict[str, Any]) -> dict[str, Any]:
        adapted = super().adapt(configuration)
        adapted["gateways"][DENVER] = {
            "hostname": "denver-njndubu.dynamic-m.com",
            "addresses": ["127.0.0.1"],
            "install": {"key_group": "10001"},
        }
        return adapted


@pytest.fixture
def outside(outside: Outside) -> Outside:
    return WithDenver(outside.names, outside.pebble)


def attack(
    container: Container, script: str, *argv: str, users: Sequence[Sequence[str]] = ATTACKERS
) -> Iterator[Any]:
    """Run a script in a container as each user, and yield what it prints, JSON."""
    for user in users:
        command = ("exec", *user, container.name, "python3", "-c", script, *argv)
        yield json.loads(container.podman.must(*command))


def command_of(sidecar: Sidecar) -> str:
    """Return gatecert's command, as SEIZE looks for it."""
    main = sidecar.podman.must("inspect", "--format", "{{.State.Pid}}", sidecar.name)
    command = Path(f"/proc/{main}/cmdline").read_text("utf-8").replace("\0", " ")
    assert command.endswith("gatecert run ")
    return command


def digests(*files: Path) -> dict[str, str]:
    """Return the paths of files that are not empty, by the digests of their contents."""
    found = {}
    for file in files:
        with suppress(FileNotFoundError):  # a temporary file
            if file.is_file() and (data := file.read_bytes()):
                found[hashlib.sha256(data).hexdigest()] = str(file)
    return found


def live_files(directory: Path) -> tuple[Path, dict[str, tuple[int, int, bytes]]]:
    """Return where ``live`` leads, and the mode, time and contents of its files by their names.

    gatecert itself changes other files of the directory at any time.
    """
    version = (directory / "live").readlink()
    files = ((file, file.stat()) for file in (directory / version).iterdir())
    return version, {
        file.name: (found.st_mode, found.st_mtime_ns, file.read_bytes()) for file, found in files
    }


@pytest.mark.attack("a gateway's container reads the account key, or another gateway's key")
def test_a_gateway_reads_only_its_own_certificates(pair: Pair) -> None:
    pair.trust()
    state = pair.sidecar.state
    own = state / "gateways" / BOSTON
    served = {*own.glob("versions/*/*")}
    secret = digests(*(path for path in state.rglob("*") if path not in served))
    kinds = {path.split("/")[-1] for path in secret.values()}
    assert {"key.pem", "account.json", "privkey.pem", "state.json", "lock"} < kinds

    for found in attack(pair.gateway, DIGESTS):
        assert digests(*served).keys() <= found.keys()
        assert {secret[digest]: found[digest] for digest in secret.keys() & found.keys()} == {}


@pytest.mark.attack("a gateway's container reads gatecert's memory or environment, or signals it")
def test_a_gateway_sees_no_process_of_gatecert(pair: Pair) -> None:
    for seen, done, capabilities in attack(pair.gateway, SEIZE, command_of(pair.sidecar)):
        assert (seen, done, capabilities) == (0, [], 0)


@pytest.mark.attack("a container that shares gatecert's processes reads its memory or environment")
def test_shared_processes_show_no_memory(compose: Compose) -> None:
    """Nothing in container/ shares processes, but an operator may, and even with the same user."""
    sidecar = compose.sidecar("gatecert").start()
    sidecar.wait_for(lambda: sidecar.is_healthy, "gatecert to be healthy")
    users = (("--user=101:10001",), ROOT_WITHOUT_CAPABILITIES, ITS_OWN_USER)

    found = list(attack(sidecar, SEIZE, command_of(sidecar), users=users))

    # A process can signal those of its own user, whatever they do.
    assert found == [[1, [], 0], [1, [], 0], [1, ["signal"], 0]]


@pytest.mark.attack("another container of the pod answers challenges in gatecert's place")
def test_a_gateway_cannot_take_the_port_of_challenges(pod: Pod, outside: Outside) -> None:
    """Containers of a pod share the network; the port of the node leads to 8080."""
    pair = begin_pod(pod, outside)
    pair.trust()

    assert list(attack(pair.gateway, BIND)) == [[], []]
    pair.renew()


@pytest.mark.attack("a gateway's container replaces its certificate, or blocks its renewal")
def test_a_gateway_changes_nothing(pair: Pair) -> None:
    pair.trust()
    directory = pair.sidecar.state / "gateways" / BOSTON
    before = live_files(directory)

    for done in attack(pair.gateway, CHANGE, f"/var/lib/gatecert/gateways/{BOSTON}"):
        assert done == []
    assert live_files(directory) == before
    assert "new" not in {path.name for path in directory.iterdir()}
    pair.renew()
