"""Pipes, devices, links, directories and endless files in the place of files that gatecert reads.

The files are those that a real enrolment leaves on the disk, so that a new one is covered. The
service's user may put anything in their place, and a command of root reads them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING, Any, Final

import pytest
import yaml

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from harness.challenge_test_server import ChallengeTestServer
    from harness.gatecert import CommandResult, Gatecert
    from harness.pebble import Pebble

HQ = "hq"
HOSTNAME = "vpn.company.com"
CANARY = "c4n4ry-in-a-file-of-root"
BOUND: Final = 60.0  # seconds; a hang has no end
ONE_TEBIBYTE: Final = 1 << 40
SEVERAL: Final = 3


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A file of root's, like /etc/shadow."""
    path = tmp_path / "shadow"
    path.write_text(f"root:{CANARY}\n-----BEGIN CERTIFICATE-----\n{CANARY}\n")
    path.chmod(0o600)
    return path


@pytest.fixture
def enrolled(gatecert: Gatecert, pebble: Pebble, names: ChallengeTestServer) -> Gatecert:
    """A gateway with everything that gatecert keeps."""
    names.point(HOSTNAME, "127.0.0.1")
    gatecert.use(pebble, names).add_gateway(HQ, HOSTNAME)
    gatecert.add_gateway("custom", "custom.company.com", mode="custom").start()
    gatecert.wait_enrolled(HQ, seconds=60.0)
    assert gatecert.run("csr", "custom").exit_code == 0
    authority = gatecert.live(HQ) / "chain.pem"
    gatecert.run("client-ca", "add", HQ, str(authority))
    gatecert.process.stop()
    return gatecert


def pipe(path: Path, secret: Path) -> None:
    del secret
    os.mkfifo(path)


def endless(path: Path, secret: Path) -> None:
    del secret
    path.symlink_to("/dev/zero")


def device(path: Path, secret: Path) -> None:
    """Make /dev/zero itself, where the kernel permits it."""
    try:
        os.mknod(path, 0o020666, os.makedev(1, 5))
    except PermissionError:
        endless(path, secret)


def directory(path: Path, secret: Path) -> None:
    del secret
    path.mkdir()


def loop(path: Path, secret: Path) -> None:
    del secret
    path.symlink_to(path.name)


def link(path: Path, secret: Path) -> None:
    path.symlink_to(secret)


def sparse(path: Path, secret: Path) -> None:
    del secret
    path.touch(0o600)
    os.truncate(path, ONE_TEBIBYTE)


KINDS = (pipe, device, directory, loop, link, sparse)


def stored(state: Path) -> Iterator[Path]:
    """Yield every file of a state directory, and ``live``."""
    for path in sorted(state.rglob("*")):
        if path.is_symlink() or path.is_file():
            yield path.relative_to(state)


def harmless(result: CommandResult) -> bool:
    """Tell whether a command ended with words, and showed nothing of root's file."""
    told = result.output + result.errors
    return result.exit_code in {0, 1, 2, 3} and "Traceback" not in told and CANARY not in told


@pytest.mark.attack("puts a pipe, device, link or endless file in the place of a state file")
@pytest.mark.parametrize("put", KINDS, ids=lambda kind: kind.__name__)
def test_state_files(
    enrolled: Gatecert, secret: Path, tmp_path: Path, put: Callable[[Path, Path], None]
) -> None:
    state, pristine = enrolled.state_directory, tmp_path / "pristine"
    shutil.copytree(state, pristine, symlinks=True)
    files = list(stored(pristine))
    assert len(files) > SEVERAL
    failed = []
    for name in files:
        shutil.rmtree(state)
        shutil.copytree(pristine, state, symlinks=True)
        (state / name).unlink()
        put(state / name, secret)
        for command in ("doctor", "enroll"):  # all that status reads, too
            try:
                result = enrolled.run(command, seconds=BOUND)
            except subprocess.TimeoutExpired:
                failed.append(f"{command} hangs: {name}")
                break
            if not harmless(result):
                failed.append(f"{command}: {name}: {result}")
        live = enrolled.live(HQ) / "fullchain.pem"
        if "versions" not in name.parts and not live.is_file():
            failed.append(f"the certificate is gone: {name}")
    assert failed == []
    assert CANARY in secret.read_text()
    assert secret.stat().st_mode & 0o777 == 0o600


@pytest.mark.attack("puts a pipe or an endless file where a starting daemon reads")
@pytest.mark.parametrize("put", [pipe, endless, directory, link, sparse], ids=lambda x: x.__name__)
def test_files_of_the_daemon(
    enrolled: Gatecert, secret: Path, put: Callable[[Path, Path], None]
) -> None:
    """It starts, except without its lock, which it names."""
    schedule = enrolled.state_directory / "schedule.json"
    schedule.unlink()
    put(schedule, secret)
    state = enrolled.state_directory / "gateways" / HQ / "state.json"
    state.unlink()
    put(state, secret)
    enrolled.start().wait_logged("ready", seconds=BOUND)
    enrolled.wait_enrolled(HQ, seconds=BOUND)
    assert enrolled.status(HQ)["state"]
    enrolled.process.stop()

    lock = enrolled.state_directory / "lock"
    lock.unlink()
    put(lock, secret)
    refused = enrolled.run("run", seconds=BOUND) if put is not sparse else None
    assert refused is None or (refused.exit_code == 1 and f"cannot lock {lock}" in refused.errors)
    assert CANARY not in enrolled.process.output
    assert CANARY in secret.read_text()


SETTINGS: Final = (
    "authorities: {pebble: {ca_bundle: FILE}}",
    "authorities: {pebble: {trusted_roots: FILE}}",
    "authorities: {pebble: {external_account: {key_id: a, hmac_key_file: FILE}}}",
    "include: [FILE]",
    "gateways: {hq: {client_authentication: {crl_files: [FILE]}}}",
    "gateways: {hq: {client_authentication: {known_users: DIRECTORY}}}",
    "gateways: {hq: {install: {copy_to: [{path: /a, contents: pkcs12, password_file: FILE}]}}}",
)
put_in_place = pytest.mark.parametrize(
    "put", [pipe, endless, directory, sparse], ids=lambda kind: kind.__name__
)


def merged(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Return one mapping with another merged into it."""
    both = {
        key: merged(one[key], value) if isinstance(value, dict) and key in one else value
        for key, value in other.items()
    }
    return {**one, **both}


@pytest.mark.attack("puts a pipe, device or endless file in the place of an operator's file")
@pytest.mark.parametrize("setting", SETTINGS)
@put_in_place
def test_files_that_the_configuration_names(
    gatecert: Gatecert,
    pebble: Pebble,
    names: ChallengeTestServer,
    secret: Path,
    tmp_path: Path,
    put: Callable[[Path, Path], None],
    setting: str,
) -> None:
    file = tmp_path / "place" / "file.pem"
    file.parent.mkdir()
    put(file, secret)
    gatecert.use(pebble, names).add_gateway(HQ, HOSTNAME, mode="custom")
    added = setting.replace("FILE", str(file)).replace("DIRECTORY", str(file.parent))
    gatecert.configuration = merged(gatecert.configuration, yaml.safe_load(added))
    gatecert.write()
    for command in ("check", "enroll", "doctor"):
        result = gatecert.run(command, seconds=BOUND)
        assert harmless(result), (command, result)


@pytest.mark.attack("puts a pipe, device or endless file where a command of root's reads")
@put_in_place
def test_files_that_a_command_names(
    gatecert: Gatecert, secret: Path, tmp_path: Path, put: Callable[[Path, Path], None]
) -> None:
    file = tmp_path / "file"
    put(file, secret)
    gatecert.add_gateway(HQ, HOSTNAME, mode="custom").write()
    for command in (
        ("import", HQ, "--certificate", file),
        ("client-ca", "add", HQ, file),
        ("client-ca", "check", HQ, file),
        ("check", "-c", file),
        ("adopt", tmp_path),
    ):
        result = gatecert.run(*map(str, command), seconds=BOUND)
        assert result.exit_code
        assert harmless(result), (command, result)
