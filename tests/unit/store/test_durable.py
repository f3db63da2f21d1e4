from __future__ import annotations

import errno
import os
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gatecert.errors import StorageError
from gatecert.store import durable

Fail = Callable[[str, int], None]
Crash = Callable[[Callable[[], object], Callable[[], None]], int]

OWN_GROUP = str(os.getegid())


@pytest.fixture(params=[0o000, 0o077, 0o777], ids=oct)
def umask(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[None]:
    assert tmp_path.is_dir()  # create it first, or only root could enter it
    before = os.umask(request.param)
    yield
    os.umask(before)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_an_inaccessible_directory_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    looked = [durable.is_directory(path) for path in (tmp_path, tmp_path / "no", tmp_path / "file")]
    assert looked == [True, False, False]
    assert not durable.is_directory(tmp_path / "file" / "inside")
    with pytest.raises(StorageError, match=r"cannot read .*loop"):
        durable.is_directory(tmp_path / "loop")


def names(directory: Path) -> set[str]:
    return {entry.name for entry in directory.iterdir()}


class TestWriteFile:
    @pytest.mark.parametrize("mode", [0o600, 0o640, 0o644])
    @pytest.mark.usefixtures("umask")
    def test_the_umask_does_not_affect_the_mode(self, tmp_path: Path, mode: int) -> None:
        path = tmp_path / "key.pem"
        durable.write_file(path, b"secret", mode=mode, group=OWN_GROUP, owner=str(os.geteuid()))
        assert mode_of(path) == mode
        assert path.read_bytes() == b"secret"
        assert names(tmp_path) == {"key.pem"}

    def test_the_order_of_steps_survives_a_power_failure(
        self, tmp_path: Path, steps: list[tuple[str, Path]]
    ) -> None:
        path = tmp_path / "file"
        durable.write_file(path, b"x", mode=0o600, group=OWN_GROUP)
        assert [name for name, _ in steps] == [
            "create",
            "change the owner of",
            "change the mode of",
            "write",
            "sync",
            "close",
            "replace",
            "sync",
        ]
        assert steps[-1] == ("sync", tmp_path)

    def test_without_sync_nothing_is_synced(
        self, tmp_path: Path, steps: list[tuple[str, Path]]
    ) -> None:
        durable.write_file(tmp_path / "file", b"x", mode=0o600, sync=False)
        assert "sync" not in {name for name, _ in steps}

    def test_a_key_is_private_until_its_group_is_set(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        seen: list[int] = []

        def look(name: str, path: Path) -> None:
            if name.startswith("change"):
                seen.append(mode_of(path))

        monkeypatch.setattr(durable, "on_step", look)
        durable.write_file(tmp_path / "key", b"x", mode=0o644, group=OWN_GROUP)
        assert seen == [0o600, 0o600]

    def test_a_link_is_replaced_and_not_followed(self, tmp_path: Path) -> None:
        (tmp_path / "elsewhere").write_bytes(b"mine")
        (tmp_path / "file").symlink_to("elsewhere")
        durable.write_file(tmp_path / "file", b"new", mode=0o600)
        assert not (tmp_path / "file").is_symlink()
        assert (tmp_path / "elsewhere").read_bytes() == b"mine"

    def test_empty_content(self, tmp_path: Path) -> None:
        durable.write_file(tmp_path / "chain.pem", b"", mode=0o600)
        assert (tmp_path / "chain.pem").read_bytes() == b""

    def test_short_writes_are_continued(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: list[tuple[str, Path]]
    ) -> None:
        whole = os.write
        monkeypatch.setattr(os, "write", lambda fd, data: whole(fd, data[:2]))
        durable.write_file(tmp_path / "file", b"abcde", mode=0o600)
        assert (tmp_path / "file").read_bytes() == b"abcde"
        assert [name for name, _ in steps].count("write") == 3

    @pytest.mark.parametrize(
        ("number", "words"),
        [
            (errno.ENOSPC, "disk full"),
            (errno.EDQUOT, "quota"),
            (errno.EROFS, "read-only file system"),
            (errno.EACCES, "not writable by user"),
            (errno.EPERM, "not writable by user"),
            (errno.EIO, "input/output error"),
        ],
    )
    @pytest.mark.parametrize(
        "step", ["create", "change the mode of", "write", "sync", "close", "replace"]
    )
    def test_a_failed_step_leaves_the_old_file_and_one_line(
        self, tmp_path: Path, fail: Fail, step: str, number: int, words: str
    ) -> None:
        path = tmp_path / "file"
        path.write_bytes(b"old")
        fail(step, number)
        with pytest.raises(StorageError, match=words) as caught:
            durable.write_file(path, b"new", mode=0o600)
        assert str(tmp_path) in caught.value.message
        assert "\n" not in str(caught.value)
        assert caught.value.fix
        assert isinstance(caught.value.__cause__, OSError)
        assert path.read_bytes() == b"old"
        assert names(tmp_path) == {"file"}

    def test_a_temporary_that_cannot_be_removed_is_logged(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def refuse(name: str, _path: Path) -> None:
            if name in {"write", "discard"}:
                raise OSError(errno.EROFS, "refused")

        monkeypatch.setattr(durable, "on_step", refuse)
        with pytest.raises(StorageError, match="cannot write"):
            durable.write_file(tmp_path / "file", b"new", mode=0o600)
        assert "stays behind" in caplog.text

    def test_a_missing_directory_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(StorageError) as caught:
            durable.write_file(tmp_path / "gone" / "file", b"x", mode=0o600)
        assert caught.value.fix == f"create {tmp_path / 'gone'}"

    def test_a_directory_of_that_name_is_kept(self, tmp_path: Path) -> None:
        (tmp_path / "file").mkdir()
        with pytest.raises(StorageError):
            durable.write_file(tmp_path / "file", b"x", mode=0o600)
        assert names(tmp_path) == {"file"}

    def test_unknown_group_and_owner_are_named(self, tmp_path: Path) -> None:
        with pytest.raises(StorageError, match="no group 'no-such-group'"):
            durable.write_file(tmp_path / "file", b"x", mode=0o640, group="no-such-group")
        with pytest.raises(StorageError, match="no user 'no-such-user'"):
            durable.write_file(tmp_path / "file", b"x", mode=0o640, owner="no-such-user")
        assert names(tmp_path) == set()

    def test_a_crash_at_any_step_leaves_old_or_new(
        self, tmp_path: Path, crash_everywhere: Crash
    ) -> None:
        path = tmp_path / "file"
        path.write_bytes(b"old")
        seen: set[bytes] = set()

        def check() -> None:
            seen.add(path.read_bytes())
            durable.sweep(tmp_path)
            assert names(tmp_path) == {"file"}

        steps = crash_everywhere(lambda: durable.write_file(path, b"new", mode=0o600), check)
        assert steps == 7
        assert seen == {b"old", b"new"}

    def test_concurrent_threads_leave_a_complete_file(self, tmp_path: Path) -> None:
        path = tmp_path / "file"
        contents = [str(number).encode() * 5000 for number in range(8)]

        def write(data: bytes) -> None:
            durable.write_file(path, data, mode=0o600, sync=False)

        threads = [threading.Thread(target=write, args=(data,)) for data in contents]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert path.read_bytes() in contents
        assert names(tmp_path) == {"file"}


class TestAppendFile:
    def test_data_is_written_once_and_synced(
        self, tmp_path: Path, steps: list[tuple[str, Path]]
    ) -> None:
        path = tmp_path / "file"
        path.write_bytes(b"old\n")
        durable.append_file(path, b"new\n", end=4)
        assert path.read_bytes() == b"old\nnew\n"
        assert steps == [("append to", path), ("write", path), ("sync", path)]

    def test_the_leftover_of_a_crash_is_cut_off(self, tmp_path: Path) -> None:
        path = tmp_path / "file"
        path.write_bytes(b"old\nlonger than what comes")
        durable.append_file(path, b"new\n", end=4)
        assert path.read_bytes() == b"old\nnew\n"

    @pytest.mark.parametrize("step", ["append to", "write", "sync"])
    def test_a_failed_step_appends_nothing(self, tmp_path: Path, fail: Fail, step: str) -> None:
        path = tmp_path / "file"
        path.write_bytes(b"old\n")
        fail(step, errno.ENOSPC)
        with pytest.raises(StorageError, match=r"cannot .*file"):
            durable.append_file(path, b"new\n", end=4)
        assert path.read_bytes() == b"old\n"

    def test_a_short_write_is_cut_off(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "file"
        path.write_bytes(b"old\n")
        really, room = os.write, [2]

        def write(descriptor: int, data: memoryview) -> int:
            if not room:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return really(descriptor, data[: room.pop()])

        monkeypatch.setattr(os, "write", write)
        with pytest.raises(StorageError, match="disk full"):
            durable.append_file(path, b"new\n", end=4)
        assert path.read_bytes() == b"old\n"

    def test_a_missing_file_is_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(StorageError, match="append to"):
            durable.append_file(tmp_path / "file", b"new\n", end=0)
        assert names(tmp_path) == set()


class TestRemoveFile:
    def test_removes_and_syncs(self, tmp_path: Path, steps: list[tuple[str, Path]]) -> None:
        (tmp_path / "file").touch()
        durable.remove_file(tmp_path / "file")
        assert names(tmp_path) == set()
        assert steps[-1] == ("sync", tmp_path)

    def test_missing_is_no_error(self, tmp_path: Path) -> None:
        durable.remove_file(tmp_path / "file")

    def test_a_failed_removal_is_a_storage_error(self, tmp_path: Path, fail: Fail) -> None:
        (tmp_path / "file").touch()
        fail("remove", errno.EROFS)
        with pytest.raises(StorageError, match=r"cannot remove .*read-only"):
            durable.remove_file(tmp_path / "file", sync=False)


class TestReplaceLink:
    def test_swaps(self, tmp_path: Path) -> None:
        link = tmp_path / "live"
        durable.replace_link(link, "versions/1")
        durable.replace_link(link, Path("versions/2"))
        assert link.readlink() == Path("versions/2")
        assert names(tmp_path) == {"live"}

    def test_a_crash_at_any_step_leaves_old_or_new(
        self, tmp_path: Path, crash_everywhere: Crash
    ) -> None:
        link = tmp_path / "live"
        link.symlink_to("old")
        seen: set[str] = set()

        def check() -> None:
            seen.add(str(link.readlink()))
            durable.sweep(tmp_path)
            assert names(tmp_path) == {"live"}

        assert crash_everywhere(lambda: durable.replace_link(link, "new"), check) == 3
        assert seen == {"old", "new"}

    def test_a_failed_swap_leaves_the_old(self, tmp_path: Path, fail: Fail) -> None:
        link = tmp_path / "live"
        link.symlink_to("old")
        fail("replace", errno.ENOSPC)
        with pytest.raises(StorageError, match="disk full"):
            durable.replace_link(link, "new")
        assert link.readlink() == Path("old")
        assert names(tmp_path) == {"live"}


class TestDirectories:
    @pytest.mark.parametrize("mode", [0o700, 0o750])
    @pytest.mark.usefixtures("umask")
    def test_the_umask_does_not_affect_the_mode(self, tmp_path: Path, mode: int) -> None:
        durable.make_directory(tmp_path / "a" / "b", mode=mode, group=OWN_GROUP)
        assert mode_of(tmp_path / "a") == mode
        assert mode_of(tmp_path / "a" / "b") == mode

    def test_each_directory_is_synced_in_its_parent(
        self, tmp_path: Path, steps: list[tuple[str, Path]]
    ) -> None:
        durable.make_directory(tmp_path / "a" / "b", mode=0o700)
        synced = [path for name, path in steps if name == "sync"]
        assert synced == [tmp_path, tmp_path / "a"]

    def test_an_existing_directory_is_unchanged(self, tmp_path: Path) -> None:
        (tmp_path / "a").mkdir(0o711)
        durable.make_directory(tmp_path / "a", mode=0o700)
        assert mode_of(tmp_path / "a") == 0o711

    def test_a_directory_created_by_another_thread_is_no_error(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def be_quicker(name: str, path: Path) -> None:
            if name == "create":
                path.mkdir()

        monkeypatch.setattr(durable, "on_step", be_quicker)
        durable.make_directory(tmp_path / "a", mode=0o700)
        assert (tmp_path / "a").is_dir()

    def test_a_file_of_that_name_is_reported(self, tmp_path: Path) -> None:
        (tmp_path / "a").write_bytes(b"")
        with pytest.raises(StorageError, match=f"cannot create {tmp_path / 'a'}"):
            durable.make_directory(tmp_path / "a", mode=0o700)

    def test_a_complete_directory_appears_at_once(
        self, tmp_path: Path, crash_everywhere: Crash
    ) -> None:
        final = tmp_path / "version"
        files = {"privkey.pem": b"key", "cert.pem": b"cert"}
        complete = 0

        def check() -> None:
            nonlocal complete
            if final.exists():
                complete += 1
                assert {entry.name: entry.read_bytes() for entry in final.iterdir()} == files
                durable.remove_tree(final)
            durable.sweep(tmp_path)
            assert names(tmp_path) == set()

        def work() -> None:
            durable.write_directory(final, files, file_mode=0o600, mode=0o700)

        assert crash_everywhere(work, check) > 10
        assert complete == 2

    @pytest.mark.usefixtures("umask")
    def test_modes_inside(self, tmp_path: Path) -> None:
        final = tmp_path / "version"
        durable.write_directory(final, {"key": b"x"}, file_mode=0o640, mode=0o750, group=OWN_GROUP)
        assert mode_of(final) == 0o750
        assert mode_of(final / "key") == 0o640

    def test_everything_is_synced_before_the_name_appears(
        self, tmp_path: Path, steps: list[tuple[str, Path]]
    ) -> None:
        durable.write_directory(tmp_path / "v", {"a": b"1", "b": b"2"}, file_mode=0o600, mode=0o700)
        done = [(name, path.name) for name, path in steps]
        renamed = done.index(("rename", "v"))
        before = [path for name, path in done[:renamed] if name == "sync"]
        assert before[:2] == ["a", "b"]
        assert before[2].startswith(".tmp-")
        assert done[renamed + 1 :] == [("sync", tmp_path.name)]

    def test_an_existing_directory_is_kept(self, tmp_path: Path) -> None:
        (tmp_path / "v").mkdir()
        (tmp_path / "v" / "mine").touch()
        with pytest.raises(StorageError, match="cannot rename"):
            durable.write_directory(tmp_path / "v", {"a": b""}, file_mode=0o600, mode=0o700)
        assert names(tmp_path) == {"v"}
        assert names(tmp_path / "v") == {"mine"}

    @pytest.mark.parametrize("step", ["create", "change the mode of", "write", "sync", "rename"])
    def test_disk_full_leaves_nothing(self, tmp_path: Path, fail: Fail, step: str) -> None:
        fail(step, errno.ENOSPC)
        with pytest.raises(StorageError, match="disk full"):
            durable.write_directory(tmp_path / "v", {"a": b"1"}, file_mode=0o600, mode=0o700)
        assert names(tmp_path) == set()

    def test_a_file_system_without_directory_sync_is_accepted(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(descriptor: int) -> None:
            if stat.S_ISDIR(os.fstat(descriptor).st_mode):
                raise OSError(errno.EINVAL, "Invalid argument")

        monkeypatch.setattr(os, "fsync", refuse)
        durable.write_file(tmp_path / "file", b"x", mode=0o600)
        assert (tmp_path / "file").read_bytes() == b"x"

    def test_a_file_that_cannot_be_synced_is_an_error(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(_descriptor: int) -> None:
            raise OSError(errno.EINVAL, "Invalid argument")

        (tmp_path / "t").mkdir()
        (tmp_path / "t" / "file").touch()
        monkeypatch.setattr(os, "fsync", refuse)
        with pytest.raises(StorageError, match="cannot sync"):
            durable.publish_directory(tmp_path / "t", tmp_path / "final")

    def test_subdirectories_are_real_ones(self, tmp_path: Path) -> None:
        (tmp_path / "real").mkdir()
        (tmp_path / "file").touch()
        (tmp_path / "link").symlink_to("real")
        assert durable.subdirectories(tmp_path) == [tmp_path / "real"]
        assert durable.subdirectories(tmp_path / "missing") == []
        assert durable.subdirectories(tmp_path / "file") == []


class TestRemoveTree:
    def test_missing_is_no_error(self, tmp_path: Path) -> None:
        durable.remove_tree(tmp_path / "gone")

    def test_a_crash_at_any_step_leaves_all_or_nothing(
        self, tmp_path: Path, crash_everywhere: Crash
    ) -> None:
        tree = tmp_path / "v"

        def check() -> None:
            if tree.exists():
                assert names(tree) == {"a", "b"}
            durable.sweep(tmp_path)
            assert names(tmp_path) <= {"v"}
            tree.mkdir(exist_ok=True)
            (tree / "a").touch()
            (tree / "b").touch()

        check()
        assert crash_everywhere(lambda: durable.remove_tree(tree), check) == 3


class TestSweep:
    def test_files_of_running_processes_are_kept(self, tmp_path: Path) -> None:
        under_way = durable.make_temporary_directory(tmp_path / "v", mode=0o700)
        durable.sweep(tmp_path)
        assert under_way.is_dir()

    def test_links_are_removed_but_not_their_targets(self, tmp_path: Path) -> None:
        (tmp_path / "precious").mkdir()
        (tmp_path / f".tmp-{os.getpid()}-00000000-1").symlink_to("precious")
        durable.sweep(tmp_path)
        assert names(tmp_path) == {"precious"}

    def test_a_missing_directory_is_no_error(self, tmp_path: Path) -> None:
        durable.sweep(tmp_path / "gone")

    def test_a_failed_removal_is_logged(
        self, tmp_path: Path, fail: Fail, caplog: pytest.LogCaptureFixture
    ) -> None:
        (tmp_path / f".tmp-{os.getpid()}-00000000-1").touch()
        fail("discard", errno.EROFS)
        durable.sweep(tmp_path)
        assert "read-only file system" in caplog.text


class TestGrantGroupAccess:
    def test_the_group_of_the_directory_gets_access(self, tmp_path: Path) -> None:
        directory = tmp_path / "d"
        directory.mkdir(0o700)
        for _ in range(2):
            durable.grant_group_access(directory, OWN_GROUP, give=True)
            assert mode_of(directory) == 0o750

    def test_without_a_group_change_everybody_can_traverse(self, tmp_path: Path) -> None:
        directory = tmp_path / "d"
        directory.mkdir(0o700)
        durable.grant_group_access(directory, str(os.getegid() + 1), give=False)
        assert mode_of(directory) == 0o701
        assert directory.stat().st_gid == os.getegid()

    def test_another_group_keeps_its_access(self, tmp_path: Path) -> None:
        directory = tmp_path / "d"
        directory.mkdir()
        directory.chmod(0o750)
        durable.grant_group_access(directory, str(os.getegid() + 1), give=True)
        assert mode_of(directory) == 0o751
        assert directory.stat().st_gid == os.getegid()

    def test_a_private_directory_changes_its_group(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        given: list[tuple[int, int]] = []
        monkeypatch.setattr(os, "chown", lambda _path, user, group: given.append((user, group)))
        directory = tmp_path / "d"
        directory.mkdir(0o700)
        durable.grant_group_access(directory, str(os.getegid() + 1), give=True)
        assert given == [(-1, os.getegid() + 1)]
        assert mode_of(directory) == 0o750


class TestSandbox:
    """The system call filter of a unit may refuse every chown(2)."""

    @pytest.fixture(autouse=True)
    def filter(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_arguments: object) -> None:
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

        monkeypatch.setattr(os, "chown", refuse)
        monkeypatch.setattr(os, "fchown", refuse)

    def test_an_unchanged_group_needs_no_permission(self, tmp_path: Path) -> None:
        durable.write_file(tmp_path / "key.pem", b"x", mode=0o640, group=OWN_GROUP)
        durable.make_directory(tmp_path / "d", mode=0o750, group=OWN_GROUP)
        assert mode_of(tmp_path / "key.pem") == 0o640
        assert mode_of(tmp_path / "d") == 0o750

    def test_a_refused_group_leaves_no_file(self, tmp_path: Path) -> None:
        with pytest.raises(StorageError) as caught:
            durable.write_file(tmp_path / "key.pem", b"x", mode=0o640, group=str(os.getegid() + 1))
        assert "SystemCallFilter=@chown" in caught.value.fix
        assert names(tmp_path) == set()

    def test_another_owner_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(StorageError):
            durable.write_file(tmp_path / "key.pem", b"x", mode=0o640, owner=str(os.geteuid() + 1))
