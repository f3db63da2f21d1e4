"""Listening sockets of the monitor: TCP, and Unix sockets in the file system (unix(7)).

A Unix socket outlives its process. One that nobody listens on is replaced; one that somebody
listens on is not, and anything else at its path is left alone. The owner and the group of the
socket may connect, others never.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gatecert import container
from gatecert.errors import GatecertError
from gatecert.model import Endpoint
from gatecert.store.directory_walk import place

UNIX: Final = "unix:"
BACKLOG: Final = 256
NOT_LOCAL: Final = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT}
NOT_FOR_OTHERS: Final = 0o117  # umask: mode 0660


class ListenError(GatecertError):
    """An address on which the monitor cannot listen."""

    code = "listener"
    retryable = True


@dataclass(slots=True)
class ListeningSocket:
    """A listening socket, and the file of a Unix socket.

    Attributes:
        path: None for TCP.
        identity: Device and inode of the file.
    """

    socket: socket.socket
    path: Path | None = None
    identity: tuple[int, int] = (0, 0)

    def close(self) -> None:
        """Stop listening, and remove the file unless it is another one by now."""
        self.socket.close()
        if self.path is None:
            return
        with suppress(OSError, GatecertError):
            if _identity(self.path) == self.identity:
                _unlink(self.path)


def open_listener(address: str, key: str) -> ListeningSocket:
    """Listen.

    Args:
        address: ``address:port`` or ``unix:/path``.
        key: Its key in the configuration, such as ``metrics.listen``, for the fix.

    Raises:
        ListenError: That is not possible; one line, with the fix.
    """
    if address.startswith(UNIX):
        return _listen_unix(Path(address.removeprefix(UNIX)), key)
    return ListeningSocket(_listen_tcp(address, key))


def _listen_tcp(address: str, key: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    endpoint = Endpoint(host.strip("[]"), int(port))
    family = socket.AF_INET6 if ":" in endpoint.host else socket.AF_INET
    try:
        listener = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise _tcp_error(endpoint, error, key) from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind((endpoint.host, endpoint.port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise _tcp_error(endpoint, error, key) from error
    return listener


def _tcp_error(endpoint: Endpoint, error: OSError, key: str) -> ListenError:
    if error.errno == errno.EADDRINUSE:
        from gatecert.challenge.listening import find_port_holder  # noqa: PLC0415 - 1 MB

        holder = find_port_holder(endpoint).processes or "another process"
        return ListenError(
            f"the port is in use by {holder}", fix=f"stop that, or write another port in {key}"
        )
    if error.errno in NOT_LOCAL:
        return ListenError(
            "this host does not have the address",
            fix=f"write one that `ip address` shows in {key}; it is tried again until then",
        )
    if error.errno in {errno.EACCES, errno.EPERM}:
        return ListenError(
            f"port {endpoint.port} needs CAP_NET_BIND_SERVICE",
            fix=f"write a port above 1023 in {key}",
        )
    return ListenError(f"the address cannot be used: {_reason(error)}", fix=f"correct {key}")


def _listen_unix(path: Path, key: str) -> ListeningSocket:
    try:
        _remove_stale(path, key)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    except OSError as error:
        raise _unix_error(path, error, key) from error
    try:
        before = os.umask(NOT_FOR_OTHERS)
        try:
            listener.bind(str(path))
        finally:
            os.umask(before)
        listener.listen(BACKLOG)
        return ListeningSocket(listener, path, _identity(path))
    except OSError as error:
        listener.close()
        raise _unix_error(path, error, key) from error


def _unlink(path: Path) -> None:
    """Remove a file.

    Raises:
        GatecertError: Other users could lead gatecert to another file.
        OSError: It cannot be removed.
    """
    with place(path) as found:
        os.unlink(found.path.name, dir_fd=found.directory)


def _remove_stale(path: Path, key: str) -> None:
    """Remove a socket that nobody listens on.

    Raises:
        GatecertError: Somebody does, or there is something else.
        OSError: It cannot be looked at or removed.
    """
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise ListenError(
            "something that is no socket is at this path",
            fix=f"remove it if nothing needs it, or write another path in {key}",
        )
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.setblocking(False)  # noqa: FBT003 - positional only
        try:
            client.connect(str(path))
        except ConnectionRefusedError:
            _unlink(path)
            return
        except BlockingIOError:  # it listens, and is busy
            pass
    raise ListenError(
        "another process listens on the socket", fix=f"stop it, or write another path in {key}"
    )


def _unix_error(path: Path, error: OSError, key: str) -> ListenError:
    if error.errno in {errno.ENOENT, errno.ENOTDIR}:
        return ListenError(
            f"there is no directory {path.parent}", fix=f"create it, or write another path in {key}"
        )
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        return ListenError(
            f"{path.parent} may not be written: {_reason(error)}",
            fix=container.fix_for(
                host=f"write a path below /run/gatecert in {key}, or let this user write there",
                container=f"write a path of a volume that user {os.geteuid()} may write in {key}",
            ),
        )
    return ListenError(f"the socket cannot be made: {_reason(error)}", fix=f"correct {key}")


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def _identity(path: Path) -> tuple[int, int]:
    status = path.lstat()
    return status.st_dev, status.st_ino
