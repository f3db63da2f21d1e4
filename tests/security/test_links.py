"""Files that root writes into directories of other users: nobody leads it elsewhere.

A user owns a directory in which root's gatecert writes: a copy, a profile, a root, a configuration,
responses to challenges. Another service's file, which only root may change, is the target.
"""

from __future__ import annotations

import os
import stat
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.security.conftest import User

from harness.gatecert import Gatecert
from harness.process import BackgroundProcess
from harness.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import ExitStack

    from harness.challenge_test_server import ChallengeTestServer
    from harness.gatecert import CommandResult
    from harness.pebble import Pebble

BOSTON = "boston"
HOSTNAME = "boston.example.net"
SECRET = b"# of another service\ngateways: {}\n"
NAME = "server.pem"
COPIES = 150
RESPONSES = ".well-known/acme-challenge"
MOST_SECONDS = 20.0

# Exchanges two names as fast as it can: renameat2(2) with RENAME_EXCHANGE.
EXCHANGE = """
import ctypes, os, sys
library = ctypes.CDLL(None, use_errno=True)
one, other = map(os.fsencode, sys.argv[1:])
while True:
    if library.renameat2(-100, one, -100, other, 2):
        sys.exit(os.strerror(ctypes.get_errno()))
"""


@dataclass
class Scene:
    """A user's directory, in which root writes, and a file of another service.

    Attributes:
        home: The user's directory.
        directory: The directory below it that root was told to write to.
        victim: The file of the other service, in a directory that only root can enter.
    """

    attacker: User
    home: Path
    victim: Path

    def __post_init__(self) -> None:
        self.directory = self.attacker.own(self.home / "tls")
        self.before = self.looks()

    def looks(self) -> object:
        """Return what must not change: the directory of the other service and its file."""
        status = self.victim.stat()
        return (
            self.victim.read_bytes(),
            (status.st_ino, status.st_mode, status.st_uid, status.st_gid),
            sorted(path.name for path in self.victim.parent.iterdir()),
        )

    def do(self, *argv: str | Path) -> None:
        """Run a command as the attacker."""
        finished = self.attacker.run(*argv)
        assert finished.returncode == 0, finished.stderr

    def assert_untouched(self) -> None:
        assert self.looks() == self.before


@pytest.fixture
def scene(open_path: Path, attacker: User) -> Scene:
    home, victim = open_path / "svc", open_path / "other-service" / NAME
    (home / "tls").mkdir(parents=True)
    victim.parent.mkdir(mode=0o700)
    victim.write_bytes(SECRET)
    victim.chmod(0o600)
    return Scene(attacker, attacker.own(home), victim)


# --------------------------------------------------------------------- whatever root writes


@dataclass
class Root:
    """The gatecert of root, which has a certificate of a CA for one gateway."""

    gatecert: Gatecert

    def write_copy(self, path: Path) -> CommandResult:
        copy = {"path": str(path), "contents": "combined", "owner": "60001", "group": "60001"}
        self.gatecert.configuration["gateways"][BOSTON]["install"] = {"copy_to": [copy]}
        return self.gatecert.write().run("enroll", "--force")

    def write_profile(self, path: Path) -> CommandResult:
        return self.gatecert.run("profile", BOSTON, "--output", str(path), seconds=MOST_SECONDS)

    def write_root(self, path: Path) -> CommandResult:
        return self.gatecert.run("doctor", "--export-root", str(path), seconds=MOST_SECONDS)

    def write_configuration(self, path: Path) -> CommandResult:
        self.gatecert.configuration_file = path
        answers = ("--server", "other", "--contact", "ops@company.com", "--agree-terms")
        authority = self.gatecert.configuration["authorities"]["pebble"]
        ours = ("--directory-url", authority["directory_url"], "--address", "127.0.0.1")
        trust = ("--ca-bundle", authority["ca_bundle"], "--trusted-roots", authority["ca_bundle"])
        options = (*answers, *ours, *trust, "--no-apply")
        return self.gatecert.run("init", "--yes", "--hostname", "new.example.net", *options)

    def write_response(self, path: Path) -> CommandResult:
        """Write below a document root, which is the directory of the path."""
        self.gatecert.configuration["challenges"] = {"http-01": {"webroot": str(path.parent)}}
        return self.gatecert.write().run("enroll", "--force")


FILES: tuple[Callable[[Root, Path], CommandResult], ...] = (
    Root.write_copy,
    Root.write_profile,
    Root.write_root,
    Root.write_configuration,
)
EVERYTHING = (*FILES, Root.write_response)


def named(write: object) -> str:
    return getattr(write, "__name__", "")


@pytest.fixture
def root(
    pebble: Pebble,
    names: ChallengeTestServer,
    gatecert: Gatecert,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Root:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    names.point(HOSTNAME, "127.0.0.1")
    gatecert.use(pebble, names).add_gateway(BOSTON, HOSTNAME).write()
    enrolled = gatecert.run("enroll")
    assert enrolled.exit_code == 0, enrolled.errors
    return Root(gatecert)


@pytest.mark.attack("a directory that root writes to becomes a link to another service's")
@pytest.mark.parametrize("write", EVERYTHING, ids=named)
def test_a_link_in_the_place_of_a_directory(
    root: Root, scene: Scene, write: Callable[[Root, Path], CommandResult]
) -> None:
    scene.directory.rmdir()
    scene.do("ln", "-s", scene.victim.parent, scene.directory)

    told = write(root, scene.directory / NAME)

    scene.assert_untouched()
    assert told.exit_code != 0
    assert "Traceback" not in told.errors


@pytest.mark.attack("a file that root writes becomes a link to another service's")
@pytest.mark.parametrize("write", FILES, ids=named)
def test_a_link_in_the_place_of_a_file(
    root: Root, scene: Scene, write: Callable[[Root, Path], CommandResult]
) -> None:
    scene.do("ln", "-s", scene.victim, scene.directory / NAME)

    told = write(root, scene.directory / NAME)

    scene.assert_untouched()
    assert "Traceback" not in told.errors


@pytest.mark.attack("a file that root writes becomes another name of another service's file")
@pytest.mark.parametrize("write", FILES, ids=named)
def test_a_hard_link_in_the_place_of_a_file(
    root: Root, scene: Scene, write: Callable[[Root, Path], CommandResult]
) -> None:
    os.link(scene.victim, scene.directory / NAME)  # as without fs.protected_hardlinks

    told = write(root, scene.directory / NAME)

    scene.assert_untouched()
    assert "Traceback" not in told.errors


@pytest.mark.attack("members of a group exchange what lies in a directory that root writes to")
@pytest.mark.parametrize("write", FILES, ids=named)
@pytest.mark.parametrize("mode", [0o775, 0o777], ids=oct)
def test_a_directory_that_more_users_may_write_to(
    root: Root, scene: Scene, write: Callable[[Root, Path], CommandResult], mode: int
) -> None:
    os.chown(scene.directory, 0, scene.attacker.number)
    scene.directory.chmod(mode)

    told = write(root, scene.directory / NAME)

    assert told.exit_code != 0
    assert f"chmod go-w {scene.directory}" in told.errors + told.output
    assert list(scene.directory.iterdir()) == []


@pytest.mark.attack("a pipe that nobody reads, in the place of a file that root writes")
@pytest.mark.parametrize("write", FILES, ids=named)
def test_a_pipe_in_the_place_of_a_file(
    root: Root, scene: Scene, write: Callable[[Root, Path], CommandResult]
) -> None:
    scene.do("mkfifo", scene.directory / NAME)

    told = write(root, scene.directory / NAME)

    assert "Traceback" not in told.errors


@pytest.mark.attack("a directory and a link are exchanged while root writes copies")
def test_a_race(root: Root, scene: Scene, servers: ExitStack, tmp_path: Path) -> None:
    """Write many copies, each at another moment of the exchange."""
    link = scene.home / "link"
    scene.do("ln", "-s", scene.victim.parent, link)
    for number in range(COPIES):
        (scene.victim.parent / f"{number}.pem").write_bytes(SECRET)
    before = scene.looks()
    copies = [
        {
            "path": str(scene.directory / f"{number}.pem"),
            "contents": "combined",
            "owner": "60001",
            "group": "60001",
        }
        for number in range(COPIES)
    ]
    root.gatecert.configuration["gateways"][BOSTON]["install"] = {"copy_to": copies}
    argv = ("setpriv", "--reuid=60001", "--regid=60001", "--clear-groups", sys.executable, "-c")
    exchanging = BackgroundProcess(
        ["/usr/bin/env", *argv, EXCHANGE, str(scene.directory), str(link)],
        log=tmp_path / "exchange.log",
    )
    servers.enter_context(exchanging)
    wait_until(scene.directory.is_symlink, "the first exchange", seconds=10)

    root.gatecert.write().run("enroll", "--force")

    assert exchanging.alive, exchanging.tail()
    for number in range(COPIES):
        path = scene.victim.parent / f"{number}.pem"
        assert (path.read_bytes(), path.stat().st_uid) == (SECRET, 0), path
    assert scene.looks() == before


@pytest.mark.attack("root removes what others have put beside its files")
@pytest.mark.parametrize("write", [Root.write_copy, Root.write_response], ids=named)
def test_files_of_others_stay(
    root: Root, scene: Scene, write: Callable[[Root, Path], CommandResult]
) -> None:
    directory = scene.directory
    if write is Root.write_response:
        (directory / RESPONSES).mkdir(parents=True)
        directory /= RESPONSES
    others = [
        directory / name
        for name in (".tmp-4194999-0123abcd-0", ".trash-4194999-0123abcd-1", ".tmp-of-others")
    ]
    for other in others:
        other.write_bytes(SECRET)

    write(root, scene.directory / NAME)

    assert [other.read_bytes() for other in others] == [SECRET] * len(others)


def test_what_is_legitimate_still_works(root: Root, scene: Scene, tmp_path: Path) -> None:
    """Follow a link that only root can change; write to a user's own directory."""
    link = tmp_path / "services"
    link.symlink_to(scene.home)
    for write in (Root.write_copy, Root.write_profile, Root.write_root):
        path = link / scene.directory.name / write.__name__
        told = write(root, path)
        assert told.exit_code == 0, told.errors
        assert stat.S_ISREG(path.lstat().st_mode)
    assert (scene.directory / "write_copy").stat().st_uid == scene.attacker.number
    assert sorted(path.name for path in scene.directory.iterdir()) == [
        "write_copy",
        "write_profile",
        "write_root",
    ]


def test_check_says_it_before_it_happens(root: Root, scene: Scene) -> None:
    gatecert = root.gatecert
    install = {"copy_to": [{"path": str(scene.directory / NAME), "contents": "combined"}]}
    gatecert.configuration["gateways"][BOSTON]["install"] = install
    assert gatecert.write().run("check").exit_code == 0

    scene.directory.chmod(0o777)
    told = gatecert.run("check")

    assert told.exit_code == 2
    assert f"chmod go-w {scene.directory}" in told.errors
    assert f"chmod go-w {scene.directory}" in gatecert.run("doctor").output
