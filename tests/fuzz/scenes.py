"""A state directory that a pass can be made over, in memory, and put back as it was each time."""

from __future__ import annotations

import logging
import random
import shutil
import socket
import tempfile
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.fakes.clock import Clock
from tests.fakes.played_authority import PlayedAuthority
from tests.fakes.resolver import HERE, Names
from tests.fuzz.promise import check_line

from gatecert.certificate import key
from gatecert.certificate.bootstrap import bootstrap
from gatecert.certificate.summary import summarize
from gatecert.lifecycle.pipeline import Pipeline
from gatecert.model import Endpoint, Identifier, IdentifierType, Target
from gatecert.store.file_store import FileStore

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from gatecert.model import Message, Outcome, Stage

MEMORY: Final = Path("/dev/shm")  # noqa: S108 - a file system, in which a directory of our own is made
VPN: Final = "vpn"
HOSTNAME: Final = "vpn.example.com"


@contextmanager
def scratch() -> Iterator[Path]:
    """A directory, in memory where that is possible."""
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as path:
        yield Path(path)


def contents(directory: Path) -> dict[str, bytes]:
    """Every file below a directory by its path in it."""
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file() and "live" not in path.parts
    }


class Tracebacks(logging.Handler):
    """Notices what was logged that no operator should see."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep what has a traceback."""
        if record.exc_info is not None and record.exc_info[0] is not None:
            self.found.append(f"{record.getMessage()}: {record.exc_info[1]!r}")
        check_line(" ".join(record.getMessage().splitlines()))


@contextmanager
def no_traceback() -> Iterator[None]:
    """Nothing may log one."""
    noticed = Tracebacks()
    logger = logging.getLogger("gatecert")
    before = logger.level, logger.propagate
    logger.addHandler(noticed)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(noticed)
        logger.setLevel(before[0])
        logger.propagate = before[1]
    assert not noticed.found, noticed.found[0]


def check_outcome(outcome: Outcome) -> None:
    """It says what a person can read, and a bug is none."""
    check_line(outcome.detail)
    assert "unexpected error" not in outcome.detail, outcome.detail
    assert outcome.wake_at is not None
    assert outcome.next_at is not None


@dataclass
class Scene:
    """One gateway with a bootstrap certificate and two that an authority issued."""

    directory: Path
    clock: Clock = field(default_factory=Clock)
    names: Names = field(default_factory=Names)
    target: Target = field(
        default_factory=lambda: Target(
            name=VPN,
            identifiers=(Identifier(IdentifierType.DNS, HOSTNAME),),
            display_name=HOSTNAME,
            addresses=(HERE,),
            authorities=("played",),
        )
    )

    def __post_init__(self) -> None:
        self.authority = PlayedAuthority(self.clock)
        self.state = self.directory / "state"
        self.store = FileStore(self.state)
        issued = bootstrap(self.target.identifiers, now=self.clock())
        self.store.add_version(VPN, issued, now=self.clock())
        self.pipeline().attend(self.target)
        self.pipeline().attend(self.target)
        self.original = contents(self.state)

    def pipeline(self) -> Pipeline:
        """As after a restart of the process."""
        return Pipeline(
            store=FileStore(self.state),
            resolver=self.names,
            authorities={"played": self.authority},
            progress=_silence,
            now=self.clock,
            cancelled=threading.Event(),
            random=random.Random(1),
        )

    def restore(self, changed: Mapping[str, bytes] = {}) -> None:
        """Put everything back, but for what is changed."""
        with suppress(FileNotFoundError):
            shutil.rmtree(self.state)
        for name, data in {**self.original, **changed}.items():
            path = self.state / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        versions = sorted((self.state / "gateways" / VPN / "versions").iterdir())
        (self.state / "gateways" / VPN / "live").symlink_to(f"versions/{versions[-1].name}")

    def check_live(self) -> None:
        """Check that servers read a certificate with its key."""
        live = self.state / "gateways" / VPN / "live"
        private_key = key.load((live / "privkey.pem").read_bytes())
        fullchain = (live / "fullchain.pem").read_bytes()
        summary = summarize((live / "cert.pem").read_bytes(), (live / "chain.pem").read_bytes())
        assert summary.key_fingerprint == key.fingerprint(private_key.public_key())
        assert fullchain.startswith((live / "cert.pem").read_bytes())


def _silence(gateway: str, stage: Stage, message: Message) -> None:
    """Nobody looks on."""


class Listener:
    """A listener that sends fixed data to every client and closes the connection."""

    def __init__(self) -> None:
        self.says = b""
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.endpoint = Endpoint("127.0.0.1", self._socket.getsockname()[1])
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                channel, _ = self._socket.accept()
                with suppress(OSError), channel:
                    channel.settimeout(1)
                    channel.recv(65536)
                    channel.sendall(self.says)
                    channel.shutdown(socket.SHUT_WR)
                    while channel.recv(65536):
                        pass

    def close(self) -> None:
        """Listen no more."""
        self._socket.close()


@cache
def listener() -> Listener:
    """The one of this process, until `stop_listening`."""
    return Listener()


def stop_listening() -> None:
    """Close it, if there is one."""
    if listener.cache_info().currsize:
        listener().close()
        listener.cache_clear()
