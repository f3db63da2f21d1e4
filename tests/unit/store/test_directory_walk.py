"""Walks to files in directories of other users; nothing is written there without one."""

from __future__ import annotations

import ast
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import gatecert
from gatecert.errors import StorageError
from gatecert.store import directory_walk
from gatecert.store.directory_walk import (
    MOST_LINKS,
    RefusedPathError,
    make_directory,
    place,
    refusal,
    walk,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = 0
SOMEBODY = 60002


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """Return a directory that is another user's to root."""
    if os.geteuid() == 0:
        os.chown(tmp_path, SOMEBODY, SOMEBODY)
    return tmp_path


@pytest.fixture
def real(tmp_path: Path) -> Path:
    path = tmp_path / "real"
    path.mkdir(mode=0o755)
    return path


def reached(path: Path, user: int) -> Path:
    """Return where the walk of a user to a file ends."""
    with walk(path, user=user) as walking:
        return walking.place(path, follow_link=True).path


class TestLinks:
    def test_own_links_are_followed_wherever_they_lead(self, tmp_path: Path, real: Path) -> None:
        (tmp_path / "absolute").symlink_to(real)
        (tmp_path / "relative").symlink_to("absolute/../real/.")
        (real / "file").symlink_to("../real/other")
        assert reached(tmp_path / "relative" / "file", os.geteuid()) == real.resolve() / "other"

    @pytest.mark.parametrize("name", ["link/file", "real/link"])
    def test_those_of_another_user_are_refused(self, foreign: Path, real: Path, name: str) -> None:
        (foreign / "link").symlink_to(real)
        (real / "link").symlink_to("file")
        with pytest.raises(RefusedPathError, match=r"/link is a symbolic link that user ") as told:
            reached(foreign / name, ROOT)
        assert told.value.fix

    def test_a_directory_of_another_user_is_entered(self, foreign: Path) -> None:
        assert reached(foreign / "file", ROOT) == foreign.resolve() / "file"

    def test_an_own_directory_is_left_upwards(self, real: Path) -> None:
        assert reached(real / ".." / "file", os.geteuid()) == real.parent.resolve() / "file"

    def test_one_that_others_may_move_is_not(self, foreign: Path, real: Path) -> None:
        with pytest.raises(RefusedPathError, match="can be moved by user ") as caught:
            reached(foreign / real.name / ".." / "file", ROOT)
        assert caught.value.fix == "write the path without '..'"

    def test_a_loop_ends(self, tmp_path: Path) -> None:
        (tmp_path / "loop").symlink_to("loop")
        with pytest.raises(StorageError, match="Too many levels"):
            reached(tmp_path / "loop" / "file", os.geteuid())
        for number in range(MOST_LINKS):
            (tmp_path / str(number)).symlink_to(str(number + 1))
        assert reached(tmp_path / "0", os.geteuid()).name == str(MOST_LINKS)

    def test_a_link_that_takes_the_place_of_a_directory_is_not_followed(
        self, tmp_path: Path, real: Path
    ) -> None:
        """Exchange a directory for a link between the look and the call."""
        with place(real / "file") as found:
            real.rename(tmp_path / "moved")
            real.symlink_to("/")
            assert os.path.samestat(os.fstat(found.directory), (tmp_path / "moved").stat())

    def test_no_link_is_followed_once_the_place_is_not_trusted(self, real: Path) -> None:
        (real / "link").symlink_to("/")
        with walk(real, user=os.geteuid()) as walking:
            walking.follow(real)
            walking.distrust("a user of the web server")
            with pytest.raises(RefusedPathError, match="that a user of the web server can change"):
                walking.follow(Path("link"))


class TestSharedDirectories:
    @pytest.mark.parametrize(("mode", "who"), [(0o777, "every user"), (0o772, "every user")])
    def test_root_refuses_them(self, real: Path, mode: int, who: str) -> None:
        (real / "inside").mkdir()
        real.chmod(mode)
        for directory in (real, real / "inside"):
            error = refusal(directory, user=ROOT)
            assert error is not None
            assert f"{real} can be changed by {who}" in error.message
            assert error.fix == f"chmod go-w {real}"

    def test_a_group_is_another_unless_it_is_the_owners_own(
        self, real: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real.chmod(0o775)
        assert refusal(real, user=ROOT) is None
        monkeypatch.setattr(directory_walk, "is_own_group", lambda *_: False)
        error = refusal(real, user=ROOT)
        assert error is not None
        assert f"can be changed by group {real.group()}" in error.message

    @pytest.mark.parametrize("mode", [0o755, 0o711, 0o1777])
    def test_root_accepts_others(self, real: Path, mode: int) -> None:
        real.chmod(mode)
        assert refusal(real, user=ROOT) is None

    def test_an_ordinary_user_is_one_of_those_who_write_there(
        self, tmp_path: Path, real: Path
    ) -> None:
        (real / "link").symlink_to(tmp_path)
        real.chmod(0o777)
        assert refusal(real, user=os.geteuid() or 60001) is None
        assert refusal(real / "link", user=os.geteuid() or 60001) is not None

    def test_what_is_shared_on_purpose_is_accepted(self, real: Path) -> None:
        real.chmod(0o777)
        assert refusal(real, user=ROOT, shared=True) is None

    def test_in_a_sticky_directory_only_own_links_are_followed(self, real: Path) -> None:
        (real / "link").symlink_to("/")
        real.chmod(0o1777)
        assert refusal(real / "link", user=os.geteuid()) is None
        if os.geteuid() == 0:
            os.lchown(real / "link", 60001, 60001)
            error = refusal(real / "link", user=ROOT)
            assert error is not None
            assert "that user 60001 can change" in error.message

    def test_a_missing_directory_is_no_refusal(self, tmp_path: Path) -> None:
        assert refusal(tmp_path / "missing", user=ROOT) is None


class TestPlaces:
    def test_a_missing_directory_is_an_error_with_a_fix(self, tmp_path: Path) -> None:
        with pytest.raises(StorageError, match="it does not exist") as caught:
            reached(tmp_path / "gone" / "file", os.geteuid())
        assert caught.value.fix == f"create {tmp_path / 'gone'}"

    def test_a_directory_that_cannot_be_listed_is_entered(self, real: Path) -> None:
        (real / "inside").mkdir()
        real.chmod(0o311)
        assert reached(real / "inside" / "file", os.geteuid()).name == "file"

    def test_missing_directories_are_made_whatever_the_umask(self, tmp_path: Path) -> None:
        before = os.umask(0o777)
        try:
            make_directory(tmp_path / "a" / "b" / "c", mode=0o700, above=0o755)
        finally:
            os.umask(before)
        modes = [stat.S_IMODE(each.stat().st_mode) for each in sorted(tmp_path.rglob("*"))]
        assert modes == [0o755, 0o755, 0o700]

    def test_an_existing_directory_keeps_its_mode(self, real: Path) -> None:
        make_directory(real, mode=0o700, above=0o700)
        assert stat.S_IMODE(real.stat().st_mode) == 0o755

    def test_the_root_directory_is_no_file(self) -> None:
        with pytest.raises(StorageError, match="Is a directory"):
            reached(Path("/"), os.geteuid())

    def test_what_lies_there(self, real: Path) -> None:
        with place(real / "file") as found:
            assert (found.status(), found.read()) == (None, None)
            (real / "file").write_bytes(b"data")
            assert found.read() == (b"data", (real / "file").stat())
            (real / "file").unlink()
            (real / "file").symlink_to("/etc/passwd")
            with pytest.raises(StorageError, match="symbolic link"):
                found.read()
            (real / "file").unlink()
            os.mkfifo(real / "file")
            known = found.read()
            assert known is not None
            assert known[0] == b""

    def test_a_file_that_is_far_too_large_is_not_read(self, real: Path) -> None:
        (real / "file").touch()
        os.truncate(real / "file", 1 << 40)  # a hole, which takes no room
        with place(real / "file") as found, pytest.raises(StorageError, match="too large"):
            found.read()

    def test_no_descriptor_is_leaked(self, tmp_path: Path, real: Path) -> None:
        (tmp_path / "link").symlink_to(real)
        before = len(list(Path("/proc/self/fd").iterdir()))
        make_directory(tmp_path / "link" / "new", mode=0o700, above=0o755)
        for user in (os.geteuid(), ROOT):
            refusal(tmp_path / "link", user=user)
        with pytest.raises(StorageError):
            reached(tmp_path / "gone" / "file", os.geteuid())
        assert len(list(Path("/proc/self/fd").iterdir())) == before


# --------------------------------------------------------------------- all of the source

SOURCE = Path(gatecert.__file__).parent
CHANGES = {
    *("append_file", "create_file", "remove_file", "write_file", "_discard"),
    *("chmod", "lchmod", "chown", "lchown", "fchmodat", "mkfifo", "mknod", "truncate", "utime"),
    *("mkdir", "makedirs", "make_temporary_directory", "publish_directory", "write_directory"),
    *("link", "hardlink_to", "symlink", "symlink_to", "replace_link", "rename", "renames"),
    *(
        "unlink",
        "remove_tree",
        "rmdir",
        "rmtree",
        "removedirs",
        "sweep",
        "touch",
        "grant_group_access",
    ),
    *("write_bytes", "write_text", "copy2", "copyfile", "copytree", "move"),
}
METHODS = {"touch", "write_bytes", "write_text"}  # of paths
STATE_ONLY = {
    "client_ca/bundle_files.py": "the gateway's directory in the state",
    "deploy/live.py": "the gateway's directory in the state",
    "deploy/reload_request.py": "the gateway's directory in the state",
    "monitoring/notifications.py": "the record in the state directory",
    "supervision/monitoring_file.py": "a file in the state directory",
}
"""Modules outside ``store`` that change files by path; all of those lie in the state directory."""

DEVICES = {"cli/completion.py", "cli/output.py", "monitoring/deliver.py"}  # open /dev/null


def changes(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield the line and the name of each call that changes a file by its path."""
    for call in ast.walk(tree):
        if not isinstance(call, ast.Call):
            continue
        called = call.func
        name = getattr(called, "attr", None) or getattr(called, "id", "")
        by_descriptor = {"directory", "dir_fd"} & {keyword.arg for keyword in call.keywords}
        is_method = isinstance(called, ast.Attribute)
        if by_descriptor or (name in METHODS and not is_method) or (name == "touch" and call.args):
            continue
        if name in CHANGES or (name == "open" and writes(call)):
            yield call.lineno, name


def writes(call: ast.Call) -> bool:
    """Tell whether a call of ``open`` may open for writing."""
    flags = {each.attr for each in ast.walk(call) if isinstance(each, ast.Attribute)}
    modes = [each.value for each in ast.walk(call) if isinstance(each, ast.Constant)]
    return bool(flags & {"O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC"}) or any(
        isinstance(mode, str) and len(mode) <= 3 and set(mode) & set("wax+") and mode[0] in "rwax"
        for mode in modes
    )


def test_no_module_changes_a_file_outside_the_state_directory_by_its_path() -> None:
    found = {
        f"{path.relative_to(SOURCE)}:{line} {name}"
        for path in sorted(SOURCE.rglob("*.py"))
        if (module := str(path.relative_to(SOURCE))) not in STATE_ONLY | dict.fromkeys(DEVICES)
        and not (module.startswith("store/") and not module.endswith("operator_files.py"))
        for line, name in changes(ast.parse(path.read_bytes()))
    }
    assert found == set(), "write to a place of store.directory_walk, or name the module above"


def test_each_exception_is_still_one() -> None:
    for module in STATE_ONLY:
        assert list(changes(ast.parse((SOURCE / module).read_bytes()))), module
