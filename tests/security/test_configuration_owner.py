"""Files that tell root what to run, and secrets: only root may be able to change them.

The attacker really changes each file, and root then runs gatecert, which would run the attacker's
command.
"""

from __future__ import annotations

import os
import signal
import struct
from typing import TYPE_CHECKING

import pytest
import yaml

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.security.conftest import User

    from harness.challenge_test_server import ChallengeTestServer
    from harness.gatecert import CommandResult, Gatecert
    from harness.pebble import Pebble

HQ = "hq"
HOSTNAME = "vpn.company.com"
NAMED_USER, MASK = 0x02, 0x10  # acl(5), as in linux/posix_acl.h
NOBODY = 0xFFFFFFFF


@pytest.fixture
def proof(open_path: Path) -> Path:
    """The file that the attacker's command creates."""
    return open_path / "root-ran-it"


@pytest.fixture
def custom(gatecert: Gatecert, open_path: Path) -> Gatecert:
    """A gateway that gets its bootstrap certificate, without a CA."""
    gatecert.configuration_file.parent.chmod(0o755)
    gatecert.add_gateway(HQ, HOSTNAME, mode="custom")
    del open_path  # the directories above are open
    return gatecert.write()


def rewritten(attacker: User, path: Path, text: str) -> None:
    """Write a file as the attacker, who must be able to."""
    command = 'printf %s "$1" > "$0"'
    done = attacker.run("/bin/sh", "-c", command, path, text)
    assert done.returncode == 0, done.stderr


def with_reload(gatecert: Gatecert, *reload: str | Path) -> str:
    """Return the configuration with a reload command."""
    changed = {**gatecert.configuration}
    gateway = {**changed["gateways"][HQ], "install": {"reload": list(map(str, reload))}}
    changed["gateways"] = {HQ: gateway}
    return yaml.safe_dump(changed)


def shared_with_group(path: Path, attacker: User) -> None:
    os.chown(path, 0, attacker.number)
    path.chmod(0o664)


def shared_with_everybody(path: Path, attacker: User) -> None:
    del attacker
    path.chmod(0o646)


def given_away(path: Path, attacker: User) -> None:
    attacker.own(path)


def shared_by_access_list(path: Path, attacker: User) -> None:
    """Let one user write, as setfacl -m u:ATTACKER:rw does."""
    entries = [
        (0x01, 6, NOBODY),
        (NAMED_USER, 6, attacker.number),
        (0x04, 4, NOBODY),
        (MASK, 6, NOBODY),
        (0x20, 4, NOBODY),
    ]
    packed = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *each) for each in entries)
    os.setxattr(path, "system.posix_acl_access", packed)


WAYS = (shared_with_group, shared_with_everybody, given_away, shared_by_access_list)
way_to_write = pytest.mark.parametrize("share", WAYS, ids=lambda way: way.__name__)


def assert_refused(result: CommandResult, path: Path) -> None:
    """The configuration is refused in one line that names the file and the fix."""
    assert result.exit_code == 2, result.errors
    (line,) = result.errors.splitlines()
    assert str(path) in line
    assert f"run chmod go-w {path}" in line or f"run chown root {path}" in line
    assert "names commands that gatecert runs" in line


@pytest.mark.attack("writes a command into root's configuration, which the group may write")
@way_to_write
def test_configuration(
    custom: Gatecert, attacker: User, proof: Path, share: Callable[[Path, User], None]
) -> None:
    share(custom.configuration_file, attacker)
    evil = with_reload(custom, "touch", proof)
    rewritten(attacker, custom.configuration_file, evil)

    for command in (("enroll",), ("check",), ("status",), ("run",)):
        assert_refused(custom.run(*command), custom.configuration_file)
    assert not proof.exists()
    found = custom.run("doctor", "--json").json()["findings"]
    assert [each["code"] for each in found] == ["configuration-exposed"]


@pytest.mark.attack("writes a command into an included file")
@way_to_write
def test_included_file(
    custom: Gatecert, attacker: User, proof: Path, share: Callable[[Path, User], None]
) -> None:
    directory = custom.configuration_file.parent / "conf.d"
    directory.mkdir()
    included = directory / "hq.yaml"
    included.write_text("gateways: {}\n")
    share(included, attacker)
    evil = yaml.safe_load(with_reload(custom, "touch", proof))["gateways"]
    rewritten(attacker, included, yaml.safe_dump({"gateways": evil}))
    del custom.configuration["gateways"]
    custom.configuration["include"] = ["conf.d/*.yaml"]
    custom.write()

    assert_refused(custom.run("enroll"), included)
    assert not proof.exists()


@pytest.mark.attack("puts another file in the place of root's configuration")
@pytest.mark.parametrize("link", [False, True])
def test_directory_of_the_configuration(
    custom: Gatecert, attacker: User, proof: Path, open_path: Path, *, link: bool
) -> None:
    """Root's own file is moved into place: a link or its directory is the attacker's."""
    directory = open_path / "attackers"
    directory.mkdir(mode=0o755)
    attacker.own(directory)
    evil = open_path / "a-file-of-root.yaml"
    evil.write_text(with_reload(custom, "touch", proof))
    named = directory / "config.yaml"
    if link:
        assert attacker.run("ln", "-s", evil, named).returncode == 0
    else:
        named.write_text(evil.read_text())
    custom.configuration_file = named

    result = custom.run("enroll")

    assert result.exit_code == 2, result.errors
    assert f"depends on {directory}, which belongs to user" in result.errors
    assert f"run chown root {directory}" in result.errors
    assert not proof.exists()


@pytest.mark.attack("writes a command into the configuration of a running daemon")
def test_reload(custom: Gatecert, attacker: User, proof: Path) -> None:
    custom.start().wait_bootstrapped(HQ)
    before = custom.certificate(HQ)
    shared_with_group(custom.configuration_file, attacker)
    rewritten(attacker, custom.configuration_file, with_reload(custom, "touch", proof))
    custom.process.signal(signal.SIGHUP)
    custom.wait_logged("is writable by group")
    custom.look_again()
    custom.configuration_file.chmod(0o644)
    custom.reload()
    custom.wait_logged("reload", times=1)

    assert custom.process.alive
    assert not proof.exists()
    assert custom.certificate(HQ) == before


@pytest.mark.attack("changes the program or script that root's gatecert runs")
@pytest.mark.parametrize("runner", [(), ("sh",), ("/usr/bin/env", "A=b", "sh", "-e"), ("python3",)])
@pytest.mark.parametrize("key", ["reload", "verify_command"])
@way_to_write
def test_program(
    custom: Gatecert,
    attacker: User,
    proof: Path,
    open_path: Path,
    share: Callable[[Path, User], None],
    key: str,
    runner: tuple[str, ...],
) -> None:
    script = open_path / "script"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    install = {key: [*runner, str(script)]}
    custom.configuration["gateways"][HQ]["install"] = install
    custom.write()
    share(script, attacker)
    script.chmod(script.stat().st_mode | 0o111)
    python = runner == ("python3",)
    evil = f"open({str(proof)!r}, 'w')" if python else f"#!/bin/sh\ntouch {proof}\n"
    rewritten(attacker, script, evil)

    result = custom.run("enroll")

    assert not proof.exists()
    assert "another user may change it" in result.errors + result.output
    assert custom.certificate(HQ) is not None  # the gateway still has a certificate
    checked = custom.run("check")
    assert checked.exit_code == 2
    assert f"gateways.hq.install.{key}[0]: {script} " in checked.errors
    assert "gatecert runs it; run ch" in checked.errors


@pytest.mark.attack("replaces the program that root's gatecert runs, in his own directory")
def test_directory_of_a_program(
    custom: Gatecert, attacker: User, proof: Path, open_path: Path
) -> None:
    directory = open_path / "attackers"
    directory.mkdir()
    evil = open_path / "a-script-of-root"
    evil.write_text(f"#!/bin/sh\ntouch {proof}\n")
    evil.chmod(0o755)
    attacker.own(directory)
    assert attacker.run("ln", "-s", evil, directory / "script").returncode == 0
    custom.configuration["gateways"][HQ]["install"] = {"reload": [str(directory / "script")]}
    custom.write()

    custom.run("enroll")

    assert not proof.exists()


def test_after_the_fix_the_program_runs(custom: Gatecert, proof: Path, open_path: Path) -> None:
    script = open_path / "script"
    script.write_text(f"#!/bin/sh\ntouch {proof}\n")
    script.chmod(0o775)
    custom.configuration["gateways"][HQ]["install"] = {"reload": [str(script)]}
    custom.write()
    refused = custom.run("check")
    (line,) = refused.errors.splitlines()
    fix = line.rpartition("; run ")[2].split()
    assert fix == ["chmod", "go-w", str(script)]
    script.chmod(0o755)

    assert custom.run("check").exit_code == 0
    assert custom.run("enroll").exit_code == 0
    assert proof.exists()


@pytest.mark.attack("changes the program that publishes DNS records")
def test_dns_program(
    gatecert: Gatecert,
    pebble: Pebble,
    names: ChallengeTestServer,
    attacker: User,
    proof: Path,
    open_path: Path,
) -> None:
    script = open_path / "dns-program"
    script.write_text("#!/bin/sh\n")
    gatecert.use(pebble, names).add_gateway(HQ, HOSTNAME, challenge="dns-01")
    gatecert.configuration["challenges"] = {
        "dns-01": {"provider": "exec", "command": [str(script)], "zone": "company.com"}
    }
    gatecert.write()
    shared_with_group(script, attacker)
    script.chmod(0o775)
    names.point(HOSTNAME, "127.0.0.1")
    rewritten(attacker, script, f"#!/bin/sh\ntouch {proof}\n")

    result = gatecert.run("enroll")

    assert not proof.exists()
    assert result.exit_code == 1
    assert "another user may change it" in result.errors + result.output


@pytest.mark.attack("changes a secret that root's gatecert uses")
@way_to_write
def test_secret(
    custom: Gatecert, attacker: User, open_path: Path, share: Callable[[Path, User], None]
) -> None:
    secret, copy = open_path / "password", open_path / "copies" / "hq.p12"
    copy.parent.mkdir(mode=0o700)
    secret.write_text("a password of root\n")
    secret.chmod(0o600)
    custom.configuration["gateways"][HQ]["install"] = {
        "copy_to": [{"path": str(copy), "contents": "pkcs12", "password_file": str(secret)}]
    }
    custom.write()
    assert custom.run("check").exit_code == 0
    share(secret, attacker)
    secret.chmod(secret.stat().st_mode & ~0o004)
    rewritten(attacker, secret, "a password of the attacker\n")

    result = custom.run("enroll")

    assert result.exit_code == 2
    assert "password_file: names a" in result.errors
    assert "; run ch" in result.errors
    assert not copy.exists()


def test_a_secret_may_be_read_by_its_group(custom: Gatecert, open_path: Path) -> None:
    secret = open_path / "password"
    secret.write_text("a password of root\n")
    secret.chmod(0o640)
    (open_path / "copies").mkdir(mode=0o700)
    copy = {"path": str(open_path / "copies" / "hq.p12"), "contents": "pkcs12"}
    custom.configuration["gateways"][HQ]["install"] = {
        "copy_to": [{**copy, "password_file": str(secret)}]
    }
    assert custom.write().run("check").exit_code == 0


@pytest.mark.attack("owns the configuration of another user's state directory")
def test_state_directory_of_another_user(
    custom: Gatecert, attacker: User, other_user: User, proof: Path
) -> None:
    """Root becomes the owner of the state directory, who may own the configuration too."""
    custom.state_directory.mkdir(mode=0o700)
    other_user.own(custom.state_directory)
    custom.configuration_file.write_text(with_reload(custom, "touch", proof))
    attacker.own(custom.configuration_file)
    assert_refused(custom.run("enroll"), custom.configuration_file)
    assert not proof.exists()
    custom.configuration_file.write_text(with_reload(custom, "true"))

    other_user.own(custom.configuration_file)
    assert custom.run("check").exit_code == 0, custom.run("check").errors
