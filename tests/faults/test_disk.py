"""Rows 9 to 12, 25 and 26: killed between two changes of the disk, a disk that is full or will not
be written, files that are garbage, and two of it at once."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import pytest
from tests.faults import peers
from tests.faults.proxy.faults import Delay
from tests.faults.scene import VPN, Scene, assert_pair, issued, refused

from harness.pebble import PebbleOptions
from harness.process import ENDS_WITH_PARENT, end_group, program
from harness.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from tests.faults.conftest import Play
    from tests.faults.peers import Peer

CHANGES = "rename,renameat,renameat2,link,linkat,symlink,symlinkat,unlink,unlinkat"
MOST_POINTS = 200
SMALL = 8 << 20  # bytes
LIFETIME = 20  # seconds


# ---------------------------------------------------------------------- 9


def killed_at(argv: Sequence[str], point: int, below: Path, environment: dict[str, str]) -> bool:
    """Run a command, killed at its n-th change of a directory; whether it came so far."""
    log = below.parent / "strace.log"
    finished = subprocess.run(
        [
            *(
                program("setpriv"),
                *ENDS_WITH_PARENT,
                program("strace"),
                "-f",
                "-qq",
                "-o",
                str(log),
            ),
            *("-e", f"trace={CHANGES}", "-e", f"inject={CHANGES}:signal=KILL:when={point}"),
            *argv,
        ],
        stdin=subprocess.DEVNULL,
        env={**os.environ, **environment},
        capture_output=True,
        check=False,
        timeout=120,
    )
    return "SIGKILL" in log.read_text("utf-8", "replace") and finished.returncode != 0


@pytest.mark.slow
def test_row_09_killed_between_any_two_changes(scene: Scene) -> None:
    gatecert = scene.gatecert(authority={"limits": {"duplicates": "off"}})
    issued(gatecert.run("enroll"))
    files = gatecert.files(VPN)
    point = 0
    while killed_at(
        [*gatecert.command, "enroll", "--force"], point + 1, gatecert.state_directory, {}
    ):
        point += 1
        assert point < MOST_POINTS
        assert_pair(files["fullchain"], files["private_key"])
    assert point >= 5, f"only {point} points"
    issued(gatecert.run("enroll", "--force"))
    assert_pair(files["fullchain"], files["private_key"])


def test_row_09_killed_at_any_time(scene: Scene) -> None:
    # As a server sees it: what is live is one pair, whenever the daemon dies.
    gatecert = scene.gatecert()
    issued(gatecert.run("enroll"))
    files = gatecert.files(VPN)
    for number in range(4):
        process = peers.start([*gatecert.command, "enroll", "--force"], scene.directory / "log")
        time.sleep(0.4 + number * 0.07)
        end_group(process)
        assert_pair(files["fullchain"], files["private_key"])


def test_peer_row_09(peer: Peer) -> None:
    peers.issue(peer)
    torn: list[int] = []
    point = 0
    while killed_at(peer.renewal(force=True), point + 1, peer.directory, dict(peer.environment)):
        point += 1
        assert point < MOST_POINTS
        try:
            assert_pair(peer.fullchain, peer.private_key)
        except (AssertionError, OSError, ValueError):
            torn.append(point)
            # From the beginning again, or everything that follows is torn as well.
            shutil.rmtree(peer.directory)
            peers.issue(peer)
    if not point:  # no directory is changed at all: the files are written over
        point, torn = overwritten(peer)
    assert not torn, f"no whole pair after {len(torn)} of {point} kills"


def overwritten(peer: Peer) -> tuple[int, list[int]]:
    """Kills where files are written over: how many, and which left no whole pair."""
    torn: list[int] = []
    kills = 0
    for path in (peer.fullchain, peer.private_key):
        log = peer.directory.parent / "strace.log"
        subprocess.run(
            [
                *(program("strace"), "-f", "-qq", "-o", str(log), "-P", str(path)),
                # The first one only: strace counts for each thread by itself.
                *("-e", "trace=write", "-e", "inject=write:signal=KILL:when=1"),
                *peer.renewal(force=True),
            ],
            stdin=subprocess.DEVNULL,
            env={**os.environ, **peer.environment},
            capture_output=True,
            check=False,
            timeout=120,
        )
        assert "SIGKILL" in log.read_text("utf-8", "replace"), f"{path} was not written"
        kills += 1
        try:
            assert_pair(peer.fullchain, peer.private_key)
        except (AssertionError, OSError, ValueError):
            torn.append(kills)
            shutil.rmtree(peer.directory)
            peers.issue(peer)
    return kills, torn


# ---------------------------------------------------------------------- 10


def test_row_10_killed_after_finalisation(scene: Scene) -> None:
    scene.rules.add("finalize", Delay(30), times=1)
    gatecert = scene.gatecert().start()
    wait_until(scene.pebble.certificates, "a certificate to be issued", seconds=30)
    gatecert.process.kill()
    assert not gatecert.is_enrolled(VPN)
    gatecert.start().wait_enrolled(VPN)
    assert scene.pebble.orders() == 1
    assert scene.pebble.certificates() == 1
    assert_pair(gatecert.files(VPN)["fullchain"], gatecert.files(VPN)["private_key"])


def test_peer_row_10(peer: Peer, scene: Scene) -> None:
    scene.rules.add("finalize", Delay(30), times=1)
    log = scene.directory / "peer.log"
    process = peers.start(peer.command(), log, environment=peer.environment)
    wait_until(scene.pebble.certificates, "a certificate to be issued", seconds=30)
    end_group(process)
    assert peers.run(peer, peer.command()).succeeded, "does not recover"
    assert scene.pebble.orders() == 1, "orders a second certificate"


# ---------------------------------------------------------------------- 11, 12


@contextmanager
def small_disk(directory: Path) -> Iterator[Callable[[str], None]]:
    """A small file system there; call with options to mount it anew."""
    directory.mkdir(parents=True, exist_ok=True)

    def mount(*arguments: str) -> None:
        subprocess.run([program("mount"), *arguments, str(directory)], check=True, timeout=20)

    mount("-t", "tmpfs", "-o", f"size={SMALL},mode=0700", "tmpfs")
    try:
        yield lambda options: mount("-o", options)
    finally:
        subprocess.run([program("umount"), "--lazy", str(directory)], check=True, timeout=20)


@contextmanager
def read_only(directory: Path) -> Iterator[None]:
    """Make a directory read-only at once, even with files open for writing below it."""

    def run(name: str, *arguments: str | Path) -> None:
        subprocess.run([program(name), *arguments], check=True, timeout=20)

    # Made where nobody writes, for a mount that is being written through stays as it is (EBUSY).
    aside = directory.with_name(f"{directory.name}-read-only")
    aside.mkdir()
    with ExitStack() as mounted:
        run("mount", "--bind", directory, aside)
        mounted.callback(run, "umount", "--lazy", aside)
        run("mount", "-o", "remount,bind,ro", aside)
        run("mount", "--bind", aside, directory)
        mounted.callback(run, "umount", "--lazy", directory)
        yield


def fill(directory: Path) -> Path:
    """Leave no room at all."""
    ballast = directory / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            return ballast


def empty_files(directory: Path) -> list[Path]:
    kept = {".pem", ".key", ".crt", ".json", ".conf"}
    return [
        path
        for path in directory.rglob("*")
        if path.suffix in kept and path.is_file() and not path.stat().st_size
        if path.name != "chain.pem"  # a bootstrap certificate has no chain
    ]


def test_row_11_disk_full(scene: Scene) -> None:
    gatecert = scene.gatecert()
    scene.servers.enter_context(small_disk(gatecert.state_directory))
    issued(gatecert.run("enroll"))
    before, orders = gatecert.certificate(VPN), scene.rules.asked("new-order")
    ballast = fill(gatecert.state_directory)
    refused(gatecert.run("enroll", "--force"), "disk full")
    assert scene.rules.asked("new-order") == orders
    assert gatecert.certificate(VPN) == before
    assert not empty_files(gatecert.state_directory)
    ballast.unlink()
    issued(gatecert.run("enroll", "--force"))
    assert gatecert.certificate(VPN) != before


def test_peer_row_11(peer: Peer, scene: Scene) -> None:
    scene.servers.enter_context(small_disk(peer.directory))
    peers.issue(peer)
    before, orders = peers.leaf(peer), scene.rules.asked("new-order")
    fill(peer.directory)
    result = peers.run(peer, peer.renewal(force=True))
    found = [path.name for path in empty_files(peer.directory)]
    assert_whole(peer)
    if result.succeeded:  # where files are written over, the old one makes room for the new
        assert peers.leaf(peer) != before, "claims success"
        return
    assert not found, f"leaves {found[0]} empty"
    assert scene.rules.asked("new-order") == orders, "orders first, and notices then"


def assert_whole(peer: Peer) -> None:
    try:
        assert_pair(peer.fullchain, peer.private_key)
    except (OSError, ValueError) as error:
        raise AssertionError("the old pair is gone") from error


def test_row_12_state_that_cannot_be_written(scene: Scene) -> None:
    gatecert = scene.gatecert()
    remount = scene.servers.enter_context(small_disk(gatecert.state_directory))
    issued(gatecert.run("enroll"))
    before, orders = gatecert.certificate(VPN), scene.rules.asked("new-order")
    remount("remount,ro")
    result = gatecert.run("enroll", "--force")
    assert result.exit_code == 1, result.output
    assert "ead-only" in result.errors, result.errors
    assert "Traceback" not in result.errors
    assert scene.rules.asked("new-order") == orders
    assert gatecert.certificate(VPN) == before
    assert gatecert.run("status").exit_code == 0
    assert gatecert.run("status", "--check").exit_code == 1
    remount("remount,rw")
    issued(gatecert.run("enroll", "--force"))
    assert gatecert.certificate(VPN) != before


def test_row_12_a_daemon_whose_state_cannot_be_written(play: Play) -> None:
    scene = play(PebbleOptions(rejected_nonces=0, profiles={"short": LIFETIME}))
    gatecert = scene.gatecert().start()
    gatecert.wait_logged(f"enrolled gateway={VPN}")  # the pass is over: nothing is being written
    with read_only(gatecert.state_directory):
        before, orders = gatecert.certificate(VPN), scene.rules.asked("new-order")
        gatecert.wait_logged("ead-only", seconds=LIFETIME)
        assert "[state-unwritable]" in gatecert.run("doctor").output
        assert gatecert.process.alive
        assert scene.rules.asked("new-order") == orders
        assert gatecert.certificate(VPN) == before
        assert "stays behind" not in gatecert.process.output
        assert "cannot remove a token" not in gatecert.process.output
    gatecert.look_again()
    gatecert.wait_for(lambda: gatecert.certificate(VPN) != before, "a renewal", seconds=LIFETIME)


def test_peer_row_12(peer: Peer, scene: Scene) -> None:
    remount = scene.servers.enter_context(small_disk(peer.directory))
    peers.issue(peer)
    orders = scene.rules.asked("new-order")
    remount("remount,ro")
    result = peers.run(peer, peer.renewal(force=True))
    remount("remount,rw")
    assert not result.succeeded, "claims success"
    assert_whole(peer)
    assert scene.rules.asked("new-order") == orders, "orders first, and notices then"


# ---------------------------------------------------------------------- 25


GARBAGE = {"garbage": b"\x00\xff{[", "empty": b""}


@pytest.mark.parametrize("how", list(GARBAGE))
def test_row_25_state_files_that_are_garbage(scene: Scene, how: str) -> None:
    gatecert = scene.gatecert()
    issued(gatecert.run("enroll"))
    before = gatecert.certificate(VPN)
    files = [
        path
        for path in gatecert.state_directory.rglob("*.json")
        if path.is_file() and not path.is_symlink()
    ]
    assert {"state.json", "account.json", "meta.json"} <= {path.name for path in files}
    for path in files:
        path.write_bytes(GARBAGE[how])
    gatecert.start()
    gatecert.wait_logged("ready gateways=1")
    gatecert.wait_for(lambda: gatecert.status(VPN)["days_left"] is not None, "a status")
    assert gatecert.certificate(VPN) == before
    gatecert.look_again()
    time.sleep(1)
    assert gatecert.process.stop() == 0
    issued(gatecert.run("enroll", "--force"))
    assert gatecert.certificate(VPN) != before


def test_row_25_an_account_key_that_is_garbage(scene: Scene) -> None:
    gatecert = scene.gatecert()
    issued(gatecert.run("enroll"))
    before = gatecert.certificate(VPN)
    (gatecert.state_directory / "accounts" / "pebble" / "key.pem").write_bytes(b"")
    issued(gatecert.run("enroll", "--force"))
    assert gatecert.certificate(VPN) != before


@pytest.mark.parametrize("how", list(GARBAGE))
def test_peer_row_25(peer: Peer, how: str) -> None:
    peers.issue(peer)
    before = peers.leaf(peer)
    for path in peer.directory.rglob("*"):
        if path.suffix in {".json", ".conf"} and path.is_file():
            path.write_bytes(GARBAGE[how])
    result = peers.run(peer, peer.renewal(force=True))
    assert "panic:" not in result.output, f"{how}: panics"
    assert result.succeeded, f"{how}: cannot renew any more"
    assert peers.leaf(peer) != before, f"{how}: claims success, and renews nothing"


# ---------------------------------------------------------------------- 26


def test_row_26_two_on_one_state_directory(scene: Scene) -> None:
    gatecert = scene.gatecert().start()
    gatecert.wait_enrolled(VPN)
    second = gatecert.run("run", seconds=30)
    assert second.exit_code == 3
    assert str(gatecert.process.pid) in second.errors
    assert gatecert.process.alive
    gatecert.process.kill()
    gatecert.start()
    gatecert.wait_logged("ready gateways=1", times=2)


def test_peer_row_26(peer: Peer, scene: Scene) -> None:
    scene.rules.add("new-order", Delay(6), times=1)
    log = scene.directory / "first.log"
    first = peers.start(peer.command(), log, environment=peer.environment)
    wait_until(lambda: scene.rules.asked("new-order"), "the first one to order", seconds=30)
    second = peers.run(peer, peer.command(), timeout=30)
    assert not second.succeeded, "two work on one directory at once"
    assert scene.rules.asked("new-order") == 1, "both order"
    first.send_signal(signal.SIGKILL)
    end_group(first)
    assert peers.run(peer, peer.command()).succeeded, "a lock is left behind"
