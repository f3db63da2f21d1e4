from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from gatecert.errors import DaemonRunningError, LockTimeoutError, StorageError
from gatecert.model import Wait
from gatecert.store import lock
from gatecert.store.file_store import FileStore
from gatecert.store.state_directory import hold_state_directory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Fail = Callable[[str, int], None]

HOLDER = """
import sys
from pathlib import Path
from gatecert.store.file_store import FileStore
from gatecert.store.state_directory import hold_state_directory

store = FileStore(Path(sys.argv[1]))
gateway = store.lock_gateway("boston", "import a certificate", wait=0)
with hold_state_directory(store.directory), gateway:
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def other(store: FileStore) -> Iterator[subprocess.Popen[bytes]]:
    """Return another process that holds the state directory and the lock of boston."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(store.directory)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        yield process
        process.kill()


class TestDaemonLock:
    def test_a_new_state_directory_has_no_daemon(self, store: FileStore) -> None:
        assert store.daemon_pid() is None
        assert not store.directory.exists()

    def test_the_process_id_of_the_daemon_is_known(self, store: FileStore) -> None:
        with hold_state_directory(store.directory):
            assert store.daemon_pid() == os.getpid()
        assert store.daemon_pid() is None

    def test_a_second_daemon_names_the_first(
        self, store: FileStore, other: subprocess.Popen[bytes]
    ) -> None:
        assert store.daemon_pid() == other.pid
        with (
            pytest.raises(DaemonRunningError, match=f"process id {other.pid} ") as caught,
            hold_state_directory(store.directory),
        ):
            pass
        assert str(store.directory) in caught.value.message

    def test_a_command_says_what_to_stop(
        self, store: FileStore, other: subprocess.Popen[bytes]
    ) -> None:
        with (
            pytest.raises(DaemonRunningError, match=f"process id {other.pid} ") as caught,
            hold_state_directory(store.directory, "gatecert fleet leave"),
        ):
            pass
        assert "gatecert fleet leave has changed nothing" in caught.value.message
        assert caught.value.fix == "systemctl stop gatecert, then run it again"

    def test_a_daemon_names_the_command_that_it_is_kept_out_by(self, store: FileStore) -> None:
        path = store.directory / "lock"
        with (
            hold_state_directory(store.directory, "gatecert fleet leave"),
            pytest.raises(DaemonRunningError, match=r"\(gatecert fleet leave\) already uses"),
            lock.hold_state_directory(path, store.directory, grace=0.01),
        ):
            pass

    def test_a_lock_is_not_stale_after_kill_9(
        self, store: FileStore, other: subprocess.Popen[bytes]
    ) -> None:
        other.send_signal(signal.SIGKILL)
        other.wait()
        assert store.daemon_pid() is None
        with hold_state_directory(store.directory), store.lock_gateway("boston", "renew", wait=0):
            assert store.daemon_pid() == os.getpid()

    def test_a_query_is_not_mistaken_for_a_daemon(self, store: FileStore) -> None:
        with hold_state_directory(store.directory):
            pass
        descriptor = os.open(store.directory / "lock", os.O_RDONLY)
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        timer = threading.Timer(0.02, os.close, [descriptor])
        timer.start()
        with hold_state_directory(store.directory):
            assert store.daemon_pid() == os.getpid()
        timer.join()

    @pytest.mark.parametrize("note", [b"", b"\xff\xfe", b"nonsense", b"0 daemon", b"-1"])
    def test_a_holder_with_an_unreadable_lock_file(self, store: FileStore, note: bytes) -> None:
        path = store.directory / "lock"
        with hold_state_directory(store.directory):
            path.write_bytes(note)
            assert lock.daemon_pid(path, grace=0.01) is None
            with (
                pytest.raises(DaemonRunningError, match="another gatecert already uses"),
                lock.hold_state_directory(path, store.directory, grace=0.01),
            ):
                pass

    def test_a_shorter_line_replaces_a_longer_one(self, store: FileStore) -> None:
        with hold_state_directory(store.directory):
            pass
        (store.directory / "lock").write_bytes(b"1 " + b"x" * 500)
        with hold_state_directory(store.directory):
            assert (store.directory / "lock").read_text() == f"{os.getpid()} daemon\n"

    def test_a_directory_in_place_of_the_lock(self, store: FileStore) -> None:
        (store.directory / "lock").mkdir(parents=True)
        with (
            pytest.raises(StorageError, match="cannot lock"),
            hold_state_directory(store.directory),
        ):
            pass

    def test_read_only(self, store: FileStore, fail: Fail) -> None:
        store.directory.mkdir()
        fail("lock", errno.EROFS)
        with (
            pytest.raises(StorageError, match="read-only file system"),
            hold_state_directory(store.directory),
        ):
            pass

    def test_a_file_system_without_locks(
        self, store: FileStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(_descriptor: int, _kind: int) -> None:
            raise OSError(errno.ENOLCK, "no locks")

        monkeypatch.setattr(fcntl, "flock", refuse)
        with (
            pytest.raises(StorageError, match=os.strerror(errno.ENOLCK)),
            hold_state_directory(store.directory),
        ):
            pass


class TestGatewayLock:
    def test_gateways_have_separate_locks(self, store: FileStore) -> None:
        with store.lock_gateway("a", "renew", wait=0), store.lock_gateway("b", "renew", wait=0):
            pass

    def test_a_timeout_names_the_holder_and_its_purpose(
        self, store: FileStore, other: subprocess.Popen[bytes], caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level("INFO")
        with (
            pytest.raises(LockTimeoutError) as caught,
            store.lock_gateway("boston", "renew", wait=0.02),
        ):
            pass
        holder = f"gatecert with process id {other.pid} (import a certificate)"
        assert f"gateway boston is being changed by {holder}" in caught.value.message
        assert holder in caplog.text

    def test_waits_for_the_holder(self, store: FileStore) -> None:
        with ExitStack() as stack:
            stack.enter_context(store.lock_gateway("boston", "first", wait=0))
            timer = threading.Timer(0.05, stack.close)
            timer.start()
            before = time.monotonic()
            waits: list[Wait] = []
            with store.lock_gateway("boston", "second", wait=5, tell=waits.append):
                assert time.monotonic() - before < 1
                holder = f"gatecert with process id {os.getpid()} (first)"
                assert waits == [Wait(f"{holder} to finish", 5)]
                note = (store.gateway_directory("boston") / "lock").read_text()
                assert note == f"{os.getpid()} second\n"
            timer.join()

    def test_stopping_ends_the_wait(self, store: FileStore) -> None:
        cancelled = threading.Event()
        with (
            store.lock_gateway("boston", "first", wait=0),
            pytest.raises(LockTimeoutError),
            store.lock_gateway(
                "boston", "second", wait=60, tell=lambda _: cancelled.set(), cancelled=cancelled
            ),
        ):
            pass

    def test_threads_exclude_each_other(self, store: FileStore) -> None:
        inside, most = 0, 0

        def work() -> None:
            nonlocal inside, most
            with FileStore(store.directory).lock_gateway("boston", "work", wait=5):
                inside += 1
                most = max(most, inside)
                time.sleep(0.005)
                inside -= 1

        threads = [threading.Thread(target=work) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert most == 1

    def test_a_reload_command_does_not_keep_the_lock(self, store: FileStore) -> None:
        with store.lock_gateway("boston", "deploy", wait=0):
            lingering = subprocess.Popen(["sleep", "30"], close_fds=False)
        with lingering:
            with store.lock_gateway("boston", "renew", wait=0):
                assert lingering.poll() is None
            lingering.kill()

    def test_an_error_releases_the_lock(self, store: FileStore) -> None:
        with pytest.raises(KeyError), store.lock_gateway("boston", "renew", wait=0):
            raise KeyError
        with store.lock_gateway("boston", "renew", wait=0):
            pass

    def test_a_full_disk_does_not_prevent_the_lock(self, store: FileStore, fail: Fail) -> None:
        with store.lock_gateway("boston", "renew", wait=0):
            pass
        fail("write", errno.ENOSPC)
        with store.lock_gateway("boston", "bring back", wait=0):
            pass

    def test_temporary_files_of_a_crash_are_removed(self, store: FileStore) -> None:
        leftover = f".tmp-{os.getpid()}-00000000-1"
        gateway = store.gateway_directory("boston")
        places: list[Path] = [gateway, gateway / "versions", gateway / "requests"]
        for place in places:
            (place / leftover).mkdir(parents=True)
        with store.lock_gateway("boston", "renew", wait=0):
            assert not any((place / leftover).exists() for place in places)
