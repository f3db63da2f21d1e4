"""A network of a test's own, in which ports 53, 80 and 443 are free and nothing else is reachable.

An authority that validates at these ports only can do so in several tests at the same time.
"""

from __future__ import annotations

import ctypes
import os
import shlex
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Self

from harness.process import program

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

CLONE_NEWNET = 0x4000_0000  # <sched.h>
OF_THIS_THREAD = Path("/proc/thread-self/ns/net")
HOSTS = Path("/etc/hosts")
RESOLVER = "127.0.0.1"  # port 53: resolv.conf(5) cannot name another

# Where a program without settings of its own looks for names, and what stands there instead.
# Services of the machine such as systemd-resolved are reached over sockets in the file system.
FILES = {
    Path("/etc/resolv.conf"): f"nameserver {RESOLVER}\noptions timeout:2\n",
    Path("/etc/nsswitch.conf"): "hosts: files dns\n",
    HOSTS: f"{RESOLVER} localhost\n",
}


class PrivateNetwork:
    """A network namespace with a loopback interface, which the calling thread enters.

    Everything that the thread does or starts inside is in it: sockets, servers and commands. The
    kernel removes it after the last of them.

    Args:
        directory: Takes the files that ``resolving`` shows to programs.
        addresses: Added to those of the loopback interface.
        forwarded: Addresses whose packets arrive here although no interface has them, as behind a
            router.
        hosts: Further lines of /etc/hosts, for programs that ``resolving`` starts.
    """

    def __init__(
        self,
        directory: Path,
        *,
        addresses: Sequence[str] = (),
        forwarded: Sequence[str] = (),
        hosts: Sequence[str] = (),
    ) -> None:
        self._hosts = "".join(f"{line}\n" for line in hosts)
        self._forwarded = tuple(forwarded)
        self._directory = directory
        self._addresses = tuple(addresses)
        self._outside: int | None = None

    def resolving(self, *argv: str) -> list[str]:
        """A command that looks names up at 127.0.0.1:53, whatever this machine is set up for."""
        mounts = "".join(
            f"mount --bind {shlex.quote(str(self._directory / path.name))} {path} && "
            for path in self._shown
        )
        return [program("unshare"), "--mount", "sh", "-c", f'{mounts}exec "$@"', "sh", *argv]

    def connect(self, process: int, *, here: str, there: str) -> None:
        """Lay a cable to the network of a process.

        Args:
            process: Its process id.
            here: The address of this end, with the length of its prefix.
            there: The address of the other end.
        """
        _ip("link", "add", "cable", "type", "veth", "peer", "cable", "netns", str(process))
        inside = (program("nsenter"), f"--net=/proc/{process}/ns/net", program("ip"))
        for ip, address in (((program("ip"),), here), (inside, there)):
            _run(*ip, "address", "add", address, "dev", "cable")
            _run(*ip, "link", "set", "cable", "up")

    def __enter__(self) -> Self:
        self._directory.mkdir(parents=True, exist_ok=True)
        for path in self._shown:
            more = self._hosts if path == HOSTS else ""
            (self._directory / path.name).write_text(FILES[path] + more, "ascii")
        self._outside = os.open(OF_THIS_THREAD, os.O_RDONLY | os.O_CLOEXEC)
        try:
            _call("unshare", CLONE_NEWNET)
            _ip("link", "set", "lo", "up")
            for address in self._addresses:
                _ip("address", "add", address, "dev", "lo")
            for address in self._forwarded:
                _ip("route", "add", "local", address, "dev", "lo")
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._outside is not None:
            _call("setns", self._outside, CLONE_NEWNET)
            os.close(self._outside)
            self._outside = None

    @property
    def _shown(self) -> list[Path]:
        """Those that exist here: a mount needs something to cover."""
        return [path for path in FILES if path.exists()]


def _call(name: str, *arguments: int) -> None:
    """Call the C library; ``os.unshare`` and ``os.setns`` came with Python 3.12.

    Raises:
        RuntimeError: Only root may, in the user namespace at least.
    """
    library = ctypes.CDLL(None, use_errno=True)
    if getattr(library, name)(*arguments) == 0:
        return
    number = ctypes.get_errno()
    raise RuntimeError(
        f"{name}: {os.strerror(number)}; only root makes networks, in a user namespace at least:"
        " unshare --map-root-user --map-auto --net -- .venv/bin/pytest …"
    )


def _ip(*arguments: str) -> None:
    _run(program("ip"), *arguments)


def _run(*argv: str) -> None:
    finished = subprocess.run(argv, text=True, check=False, capture_output=True, timeout=30)
    if finished.returncode != 0:
        raise RuntimeError(f"{' '.join(argv)} failed: {finished.stderr.strip()}")
