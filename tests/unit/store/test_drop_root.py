from __future__ import annotations

import ctypes
import errno
import json
import os
import pwd
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from gatecert.errors import StateError
from gatecert.store import drop_root
from gatecert.store.drop_root import (
    Library,
    Owner,
    drop_root_privileges,
    owner_to_switch_to,
    switch_user,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NOBODY = 65534
NAMELESS = 54_321

# Root in a child process switches to the owner and reports its capabilities.
CHILD = """
import json, os, socket, sys
from pathlib import Path
from gatecert.store.drop_root import drop_root_privileges

became = drop_root_privileges(Path(sys.argv[1]), keep_bind=sys.argv[2] == "bind")


def binds():
    for port in range(1023, 900, -1):
        with socket.socket() as listener:
            try:
                listener.bind(("127.0.0.1", port))
            except PermissionError:
                return False
            except OSError:
                continue
            return True


def becomes_root_again():
    try:
        os.setresuid(0, 0, 0)
    except PermissionError:
        return False
    return True


status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(json.dumps({
    "became": None if became is None else [became.user, became.group],
    "ids": [os.getresuid(), os.getresgid()],
    "groups": os.getgroups(),
    "binds": binds(),
    "root again": becomes_root_again(),
    "capabilities": [int(status[name], 16) for name in ("CapEff", "CapPrm", "CapInh", "CapAmb")],
}))
"""


def run(directory: Path, keep: str) -> dict[str, object]:
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(directory), keep],
        capture_output=True,
        check=True,
        text=True,
    )
    told: dict[str, object] = json.loads(done.stdout)
    return told


def test_other_users_are_unchanged() -> None:
    assert owner_to_switch_to(NOBODY, NOBODY, effective_user=NAMELESS) is None


def test_a_directory_that_does_not_exist_changes_nothing(tmp_path: Path) -> None:
    before = os.getresuid()
    assert drop_root_privileges(tmp_path / "missing", keep_bind=True) is None
    assert os.getresuid() == before


def test_a_directory_of_root_changes_nothing(tmp_path: Path) -> None:
    before = os.getresuid()
    assert drop_root_privileges(tmp_path, keep_bind=True) is None
    assert os.getresuid() == before


@pytest.mark.parametrize(
    ("user", "group", "expected"),
    [
        (0, 0, None),
        (0, 12, None),
        (NAMELESS, 12, Owner(NAMELESS, 12, "")),
        (NAMELESS, 0, Owner(NAMELESS, NAMELESS, "")),
        (NOBODY, 12, Owner(NOBODY, 12, pwd.getpwuid(NOBODY).pw_name)),
        (NOBODY, 0, Owner(NOBODY, pwd.getpwuid(NOBODY).pw_gid, pwd.getpwuid(NOBODY).pw_name)),
    ],
)
def test_the_owner_that_root_switches_to(user: int, group: int, expected: Owner | None) -> None:
    assert owner_to_switch_to(user, group, effective_user=0) == expected


def test_the_name_of_an_owner() -> None:
    assert str(Owner(7, 8, "gatecert")) == "gatecert"
    assert str(Owner(7, 8, "")) == "7"
    assert Owner(7, 8, "gatecert").for_sudo == "gatecert"


def test_a_failed_call_is_an_error() -> None:
    library = ctypes.CDLL(None, use_errno=True)
    with pytest.raises(OSError, match="prctl") as caught:
        drop_root.call_library(library, "prctl", -1)
    assert caught.value.errno == errno.EINVAL


def test_returns_the_new_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    became: list[tuple[Owner, bool]] = []

    def note(somebody: Owner, *, keep_bind: bool, for_children: bool, library: Library) -> None:
        assert library["getpid"]() == os.getpid()
        assert not for_children
        became.append((somebody, keep_bind))

    expected = Owner(NAMELESS, 12, "")
    monkeypatch.setattr(drop_root, "owner_to_switch_to", lambda *_, **__: expected)
    monkeypatch.setattr(drop_root, "switch_user", note)
    assert drop_root_privileges(tmp_path, keep_bind=True) is expected
    assert became == [(expected, True)]


def test_a_refused_switch_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_owner: Owner, *, keep_bind: bool, for_children: bool, library: Library) -> None:
        raise PermissionError(errno.EPERM, f"refused, {keep_bind}, {for_children}, {library}")

    def somebody(_user: int, _group: int, *, effective_user: int) -> Owner:
        return Owner(NAMELESS, effective_user, "")

    monkeypatch.setattr(drop_root, "owner_to_switch_to", somebody)
    monkeypatch.setattr(drop_root, "switch_user", refuse)
    with pytest.raises(StateError, match=f"cannot switch to user {NAMELESS}.* refused") as caught:
        drop_root_privileges(tmp_path, keep_bind=True)
    assert f"sudo -u '#{NAMELESS}'" in caught.value.fix


class FakeLibrary:
    """A C library that records the calls.

    Args:
        permitted: The capabilities that root has here.
    """

    def __init__(self, calls: list[str], permitted: int) -> None:
        self._calls = calls
        self._permitted = permitted

    def __getitem__(self, name: str, /) -> Callable[..., int]:
        functions: dict[str, Callable[..., int]] = {
            "prctl": self._prctl,
            "capget": self._capget,
            "capset": self._capset,
        }
        return functions[name]

    def _prctl(self, option: int, value: ctypes.c_ulong, *_rest: ctypes.c_ulong) -> int:
        self._calls.append(f"prctl {option} {value.value}")
        return 0

    def _capget(self, _header: object, sets: ctypes.Array[Any]) -> int:
        sets[0].permitted = self._permitted
        return 0

    def _capset(self, _header: object, sets: ctypes.Array[Any]) -> int:
        kept = sets[0]
        self._calls.append(f"capset {kept.effective} {kept.permitted} {kept.inheritable}")
        assert (sets[1].effective, sets[1].permitted, sets[1].inheritable) == (0, 0, 0)
        return 0


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record the system calls instead of changing the test process."""
    asked: list[str] = []

    def noting(name: str) -> Callable[..., None]:
        return lambda *arguments: asked.append(" ".join(map(str, [name, *arguments])))

    for name in ("initgroups", "setgroups", "setresgid", "setresuid"):
        monkeypatch.setattr(os, name, noting(name))
    return asked


ROOTS = (1 << 41) - 1 & 0xFFFFFFFF
BIND = 1 << drop_root.CAP_NET_BIND_SERVICE


def test_groups_before_the_user_and_capabilities_last(calls: list[str]) -> None:
    switch_user(Owner(7, 8, "gatecert"), keep_bind=True, library=FakeLibrary(calls, ROOTS))
    assert calls == [
        f"prctl {drop_root.PR_SET_KEEPCAPS} 1",
        "initgroups gatecert 8",
        "setresgid 8 8 8",
        "setresuid 7 7 7",
        f"prctl {drop_root.PR_SET_KEEPCAPS} 0",
        f"capset {BIND} {BIND} 0",
    ]


@pytest.mark.parametrize(("keep_bind", "permitted"), [(False, ROOTS), (True, ROOTS & ~BIND)])
def test_unneeded_or_missing_capabilities_are_not_kept(
    *, calls: list[str], keep_bind: bool, permitted: int
) -> None:
    switch_user(Owner(7, 8, ""), keep_bind=keep_bind, library=FakeLibrary(calls, permitted))
    assert calls == ["setgroups [8]", "setresgid 8 8 8", "setresuid 7 7 7", "capset 0 0 0"]


@pytest.mark.parametrize("user", [NOBODY, NAMELESS])
@pytest.mark.parametrize("keep", ["bind", "nothing"])
def test_the_switch_is_permanent(tmp_path: Path, user: int, keep: str) -> None:
    directory = tmp_path / "state"
    directory.mkdir()
    if os.geteuid() != 0:
        told = run(directory, keep)
        assert told["became"] is None
        assert told["ids"] == [list(os.getresuid()), list(os.getresgid())]
        return
    os.chown(directory, user, 12)
    told = run(directory, keep)
    assert told["became"] == [user, 12]
    assert told["ids"] == [[user] * 3, [12] * 3]
    assert told["groups"] in ([12], sorted({12, NOBODY}))
    assert told["root again"] is False
    bind = 1 << drop_root.CAP_NET_BIND_SERVICE if keep == "bind" else 0
    assert told["capabilities"] == [bind, bind, 0, 0]
    assert told["binds"] is (keep == "bind")
