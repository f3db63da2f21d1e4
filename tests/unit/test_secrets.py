"""No secret in what objects say of themselves, none in a traceback, none in a file that is open.

What commands, processes and files of a real scene show is searched in tests/integration.
"""

from __future__ import annotations

import os
import stat
import threading
import traceback
from base64 import urlsafe_b64encode
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from tests.fakes.world import World
from tests.fuzz.test_configuration import FULL, as_yaml

from gatecert.app import build
from gatecert.certificate import key
from gatecert.certificate.upload import Upload
from gatecert.config.load import load
from gatecert.errors import GatecertError
from gatecert.model import Account, FileContents, FileCopy, KeyType, OutcomeKind
from gatecert.store import durable
from gatecert.store.codec import encode
from harness.canary import Canaries

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DAY = timedelta(days=1)


def reached(start: object) -> Iterator[object]:
    """An object, and all of gatecert's own objects that it leads to."""
    seen: set[int] = set()
    waiting = [start]
    while waiting:
        each = waiting.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        names = [*getattr(each, "__dict__", {}), *getattr(type(each), "__slots__", ())]
        parts = [getattr(each, name, None) for name in names]
        if isinstance(each, dict):
            parts += [*each, *each.values()]
        elif isinstance(each, list | tuple | set | frozenset):
            parts += each
        waiting += [part for part in parts if _is_ours(part)]


def _is_ours(part: object) -> bool:
    module = type(part).__module__
    return module.startswith("gatecert") or isinstance(part, dict | list | tuple | set | frozenset)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def canaries() -> Canaries:
    return Canaries()


def plant_all(world: World, canaries: Canaries) -> None:
    """Every key that stands in the state directory."""
    for path in world.store.directory.rglob("*.pem"):
        if b"PRIVATE KEY" in path.read_bytes():
            canaries.plant_key(path)


def test_objects_say_nothing_of_the_keys_they_hold(world: World, canaries: Canaries) -> None:
    world.authority.during_order = lambda: found.extend(world.store.requests("vpn"))
    found: list[object] = []
    world.attend()
    world.store.save_account("played", Account(key.generate(KeyType.ECDSA_P256), "https://a"))
    plant_all(world, canaries)
    found += [world.pipeline, world.store.account("played"), *world.store.versions("vpn")]
    current = world.current
    found += [world.store.state("vpn"), current, current.situation, *current.inventory.stored]

    every = [each for start in found for each in reached(start)]

    assert len(canaries.secrets) >= 3
    assert len(every) > 50
    assert [said for each in every for said in canaries.found_in(repr(each).encode())] == []
    assert canaries.found_in(encode(world.store.state("vpn"))) == []
    private_key = world.store.private_key(world.store.versions("vpn")[0])
    upload = Upload("the certificate file", "c.pem", private_key)
    assert canaries.found_in(private_key)
    assert canaries.found_in(repr(upload).encode()) == []
    with pytest.raises(GatecertError) as refused:
        upload.certificates()
    assert canaries.found_in(str(refused.value).encode()) == []


def test_configurations_and_what_is_built_of_them_hold_no_secret(
    tmp_path: Path, canaries: Canaries, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = urlsafe_b64encode(b"secret--" * 4)  # a sealing key, too
    canaries.plant("secret", written)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    for name in ("secret", "seal"):
        (tmp_path / name).touch(0o600)
        (tmp_path / name).write_bytes(written)
    (tmp_path / "config.yaml").write_bytes(as_yaml(FULL))
    configuration = load(tmp_path / "config.yaml", check_files=False)
    house = build(configuration, lambda *_: None, threading.Event())

    parts = (house.pipeline, house.client_cas, house.revoker)  # built when they are first used
    every = [each for start in (house, *parts) for each in reached(start)]

    assert len(every) > 100
    assert [said for each in every for said in canaries.found_in(repr(each).encode())] == []


def test_a_traceback_has_no_secret_but_in_the_variables_that_hold_it(
    world: World, canaries: Canaries
) -> None:
    world.attend()
    plant_all(world, canaries)
    live = world.store.version_directory(world.store.versions("vpn")[0]) / "privkey.pem"
    upload = Upload("the certificate file", "c.pem", live.read_bytes())
    try:
        upload.certificates()
    except GatecertError as error:
        told = traceback.TracebackException.from_exception(error, capture_locals=True)
    text = "".join(told.format()).encode()
    assert b"upload = Upload(role=" in text
    assert canaries.found_in(text.replace(repr(upload.contents).encode(), b"")) == []


# --------------------------------------------------------------------------- files


class Guard:
    """Looks, before each step on the disk, whether anything is open to whom it should not be.

    Attributes:
        files: The most that files may allow.
        directories: The same for directories.
    """

    def __init__(self, *roots: Path, files: int = 0o600, directories: int = 0o700) -> None:
        self.roots = roots
        self.files, self.directories = files, directories
        self.steps = 0
        self.keys = 0

    def __call__(self, name: str, path: Path) -> None:
        self.steps += 1
        for root in self.roots:
            for each in [root, *root.rglob("*")]:
                self._check(each, f"before {name} {path}")

    def _check(self, path: Path, when: str) -> None:
        status = path.lstat()
        mode = stat.S_IMODE(status.st_mode)
        if stat.S_ISLNK(status.st_mode):
            return
        if stat.S_ISDIR(status.st_mode):
            assert mode & ~self.directories == 0, f"{mode:o} of {path} {when}"
            return
        assert mode & ~self.files == 0, f"{mode:o} of {path} {when}"
        self.keys += b"PRIVATE KEY" in path.read_bytes()


@pytest.fixture
def open_umask() -> Iterator[None]:
    """Nothing may depend on a careful one."""
    before = os.umask(0)
    step = durable.on_step
    yield
    durable.on_step = step
    os.umask(before)


@pytest.mark.usefixtures("open_umask")
@pytest.mark.parametrize("shared", [False, True])
def test_no_key_is_open_before_any_step(world: World, tmp_path: Path, *, shared: bool) -> None:
    copies = tmp_path / "copies"
    copies.mkdir(0o700)
    group = str(os.getgid()) if shared else None
    mode = 0o640 if shared else 0o600
    world.plan(
        key_group=group,
        copy_to=(
            FileCopy(copies / "combined.pem", FileContents.COMBINED, group=group, mode=mode),
            FileCopy(copies / "key.der", FileContents.PRIVKEY_DER, group=group, mode=mode),
        ),
    )
    world.store.directory.mkdir(0o700)
    guard = Guard(
        world.store.directory, copies,
        files=0o640 if shared else 0o600, directories=0o751 if shared else 0o700,
    )  # fmt: skip
    durable.on_step = guard

    world.store.save_account("played", Account(key.generate(KeyType.ECDSA_P256), "https://a"))
    assert world.pipeline.prepare(world.target) is not None
    assert world.attend().kind is OutcomeKind.ENROLLED
    world.later(70 * DAY)
    assert world.attend().kind is OutcomeKind.RENEWED

    assert guard.steps > 100
    assert guard.keys > 500
    private = world.store.directory / "accounts" / "played" / "key.pem"
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    live = world.store.gateway_directory("vpn") / "live" / "privkey.pem"
    assert stat.S_IMODE(live.stat().st_mode) == mode


@pytest.mark.usefixtures("open_umask")
def test_a_key_that_were_open_for_an_instant_would_be_noticed(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    durable.on_step = Guard(tmp_path)
    (tmp_path / "key.pem").write_text("PRIVATE KEY")

    with pytest.raises(AssertionError, match=r"666 of .*key.pem before"):
        durable.write_file(tmp_path / "other", b"", mode=0o600)


# --------------------------------------------------------------------------- hooks

NASTY = "\x1b]0;owned\x07\n-rf $(touch /tmp/owned) `reboot`; \"'\\ \u202e"


def test_what_an_authority_says_never_reaches_a_hook(world: World, tmp_path: Path) -> None:
    told = tmp_path / "told"
    world.plan(reload=world.script(f"printf '%s\\0' \"$@\" >{told}; env -0 >>{told}"))
    sign = world.authority.obtain
    world.authority.obtain = lambda *given, **more: replace(  # type: ignore[method-assign] # says more
        sign(*given, **more), order_url=NASTY, authority=NASTY, notes=(NASTY,)
    )

    assert world.attend().kind is OutcomeKind.ENROLLED

    parts = told.read_text("utf-8").split("\0")
    names = {part.partition("=")[0] for part in parts if part}
    assert names <= {
        "PATH", "HOME", "LANG", "PWD", "OLDPWD", "SHLVL", "_", "LC_CTYPE",
        "GATECERT_GATEWAY", "GATECERT_HOSTNAME", "GATECERT_LIVE", "GATECERT_VERSION",
    }  # fmt: skip
    assert all(part.isprintable() for part in parts)
    assert not any("owned" in part or "reboot" in part for part in parts)
