"""Listening sockets at addresses and paths that something else occupies."""

from __future__ import annotations

import os
import socket
import stat
import tempfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.fakes.loopback import LOOPBACK

from gatecert.monitoring.listening_sockets import ListenError, open_listener

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY = "metrics.listen"


@pytest.fixture
def directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:  # pytest's names are too long for sockets
        yield Path(name)


def refusal(address: str) -> ListenError:
    with pytest.raises(ListenError) as caught:
        open_listener(address, KEY)
    assert caught.value.fix
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.enable_socket
@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
def test_tcp(host: str) -> None:
    opened = open_listener(f"{host}:0", KEY)
    port = opened.socket.getsockname()[1]
    with closing(socket.create_connection((host.strip("[]"), port), 1)):
        pass
    opened.close()
    again = open_listener(f"{host}:{port}", KEY)  # at once, whatever waits in TIME_WAIT
    again.close()


@pytest.mark.enable_socket
def test_a_port_that_is_taken_names_the_process() -> None:
    taken = open_listener(f"{LOOPBACK}:0", KEY)
    error = refusal(f"{LOOPBACK}:{taken.socket.getsockname()[1]}")
    taken.close()
    assert f"(pid {os.getpid()})" in error.message
    assert KEY in error.fix


@pytest.mark.enable_socket
def test_an_address_of_another_host() -> None:
    assert "this host does not have the address" in refusal("192.0.2.1:9876").message


def test_a_unix_socket_is_for_its_owner_and_group(directory: Path) -> None:
    path = directory / "page"
    before = os.umask(0)
    try:
        opened = open_listener(f"unix:{path}", KEY)
        assert os.umask(0) == 0
    finally:
        os.umask(before)
    status = path.lstat()
    assert stat.S_ISSOCK(status.st_mode)
    assert stat.S_IMODE(status.st_mode) == 0o660
    opened.close()
    assert not path.exists()


def test_a_socket_of_a_dead_process_is_replaced(directory: Path) -> None:
    path = directory / "page"
    with closing(socket.socket(socket.AF_UNIX)) as dead:
        dead.bind(str(path))
        dead.listen()
    opened = open_listener(f"unix:{path}", KEY)
    with closing(socket.socket(socket.AF_UNIX)) as client:
        client.connect(str(path))
    opened.close()


def test_a_socket_of_a_living_process_is_not_replaced(directory: Path) -> None:
    path = directory / "page"
    first = open_listener(f"unix:{path}", KEY)
    assert "another process listens on the socket" in refusal(f"unix:{path}").message
    with closing(socket.socket(socket.AF_UNIX)) as client:
        client.connect(str(path))
    first.close()


def test_a_busy_socket_is_not_replaced(directory: Path) -> None:
    path = directory / "page"
    with closing(socket.socket(socket.AF_UNIX)) as busy:
        busy.bind(str(path))
        busy.listen(0)
        clients = [socket.socket(socket.AF_UNIX) for _ in range(3)]
        for client in clients:
            client.settimeout(0)
            client.connect_ex(str(path))
        assert "another process listens on the socket" in refusal(f"unix:{path}").message
        for client in clients:
            client.close()


@pytest.mark.parametrize("kind", ["file", "directory", "link", "pipe"])
def test_other_files_are_left_alone(directory: Path, kind: str) -> None:
    path = directory / "page"
    match kind:
        case "file":
            path.write_text("precious", "ascii")
        case "directory":
            path.mkdir()
        case "link":
            path.symlink_to(directory / "elsewhere")
        case _:
            os.mkfifo(path)
    before = path.lstat()
    assert "something that is no socket" in refusal(f"unix:{path}").message
    assert path.lstat().st_ino == before.st_ino


def test_a_directory_that_is_missing(directory: Path) -> None:
    error = refusal(f"unix:{directory}/none/page")
    assert error.message == f"there is no directory {directory}/none"


def test_a_directory_that_is_a_file(directory: Path) -> None:
    (directory / "none").touch()
    assert "there is no directory" in refusal(f"unix:{directory}/none/page").message


def test_a_directory_that_may_not_be_written() -> None:
    error = refusal("unix:/proc/self/page")  # not even by root
    assert "/proc/self" in error.message


def test_the_file_of_another_is_not_removed_at_the_end(directory: Path) -> None:
    path = directory / "page"
    opened = open_listener(f"unix:{path}", KEY)
    path.unlink()
    path.touch()
    opened.close()
    assert path.exists()
