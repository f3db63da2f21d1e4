"""Podman containers, with the images from tests/container/images."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography import x509

from harness.process import program
from harness.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

CACHE = Path(__file__).resolve().parents[3] / ".cache" / "container"
# Images in the files of container/, and their replacements from tests/container/images.
IMAGES = {
    "gatecert": "localhost/gatecert",
    "docker.io/nginxinc/nginx-unprivileged:1.30-alpine": "localhost/nginx",
}
COMMAND_TIMEOUT = 60.0  # seconds
COMMAND = ("gatecert",)
LIMITS = ("--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024")
# Without systemd no timer runs health checks; the tests run them.
HERE = ("--network", "host", "--health-interval", "disable", *LIMITS)


@dataclass(frozen=True, slots=True)
class Ended:
    """Result of a command."""

    exit_code: int
    output: str
    errors: str


class Podman:
    """A store of images, containers and volumes, separate from the machine's own.

    At its end it removes all containers and volumes.
    """

    def __init__(self) -> None:
        cache = CACHE.resolve()
        self._command = [
            program("podman"),
            *("--root", str(cache / "storage"), "--runroot", str(cache / "run")),
            *("--cgroup-manager", "cgroupfs", "--runtime", "runc", "--log-level", "fatal"),
        ]

    def ask(self, *arguments: str, seconds: float = COMMAND_TIMEOUT) -> Ended:
        """Run podman to its end; the caller checks the exit code."""
        finished = subprocess.run(
            [*self._command, *arguments],
            stdin=subprocess.DEVNULL,
            text=True,
            check=False,
            capture_output=True,
            timeout=seconds,
        )
        return Ended(finished.returncode, finished.stdout, finished.stderr)

    def must(self, *arguments: str) -> str:
        """Run podman, which must succeed, and return its output."""
        ended = self.ask(*arguments)
        if ended.exit_code != 0:
            raise AssertionError(f"podman {' '.join(arguments)} failed: {ended.errors.strip()}")
        return ended.output.strip()

    def last(self, *arguments: str) -> Ended:
        """Run a container to its end, and remove it with its own volumes."""
        return self.ask("run", "--rm", *HERE, *arguments)

    def volume(self, name: str) -> Path:
        """Return the directory of a volume on this machine."""
        return Path(self.must("volume", "inspect", "--format", "{{.Mountpoint}}", name))

    def clear(self) -> None:
        """Remove every container and every volume."""
        self.ask("rm", "--all", "--force", "--time", "1")
        self.ask("volume", "rm", "--all", "--force")

    def __enter__(self) -> Self:
        self.clear()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.clear()


@dataclass
class Container:
    """A container, created by ``start`` with the same options each time.

    Attributes:
        options: podman's, between ``run`` and the image.
        command: Replaces the image's own command.
    """

    podman: Podman
    name: str
    image: str
    options: Sequence[str] = ()
    command: Sequence[str] = ()

    def start(self) -> Self:
        """Create it, and run it in the background."""
        self.podman.must(
            *("run", "--detach", "--name", self.name, *HERE, *self.options),
            *(self.image, *self.command),
        )
        return self

    def remove(self) -> None:
        """Stop it with SIGTERM, as orchestrators do, and remove it."""
        self.stop()
        self.podman.must("rm", self.name)

    def stop(self) -> int:
        """Send SIGTERM and return the exit code, which shows whether it was killed."""
        self.podman.must("stop", "--time", "10", self.name)
        return int(self.podman.must("inspect", "--format", "{{.State.ExitCode}}", self.name))

    def wait(self) -> int:
        """Wait until it ends by itself and return its exit code."""
        return int(self.podman.must("wait", self.name))

    def execute(self, *command: str) -> Ended:
        """Run a command in it."""
        return self.podman.ask("exec", self.name, *command)

    @property
    def log(self) -> str:
        """Its output since it was created."""
        ended = self.podman.ask("logs", self.name)
        return ended.output + ended.errors

    @property
    def runs(self) -> bool:
        """True while it runs."""
        ended = self.podman.ask("inspect", "--format", "{{.State.Running}}", self.name)
        return ended.output.strip() == "true"

    @property
    def is_healthy(self) -> bool:
        """Run the image's health check and return its result."""
        return self.podman.ask("healthcheck", "run", self.name).exit_code == 0

    def wait_for(
        self,
        attempt: Callable[[], object],
        what: str,
        *,
        seconds: float = 30.0,
        interval: float = 0.2,
    ) -> None:
        """Wait until a condition holds; show the log if it does not.

        Args:
            attempt: Must not block for long.
            what: The condition in words.
            seconds: The timeout.
            interval: Seconds between two attempts.
        """
        wait_until(
            lambda: bool(attempt()),
            what,
            seconds=seconds,
            interval=interval,
            explain=lambda: self.log[-4000:],
        )


@dataclass
class Sidecar(Container):
    """gatecert in its container.

    Attributes:
        state: Its volume on this machine, set at the start.
    """

    state: Path = Path("/nowhere")

    def command_line(self, *arguments: str) -> Ended:
        """Run a command of gatecert beside the daemon."""
        return self.execute(*COMMAND, *arguments)

    def status(self, gateway: str) -> dict[str, Any]:
        """Return a gateway's object from ``status --json``."""
        (found,) = json.loads(self.command_line("status", gateway, "--json").output)["gateways"]
        return dict(found)

    def is_trusted(self, gateway: str) -> bool:
        """Return True if the certificate comes from a CA and is verified."""
        return bool(self.status(gateway)["state"] == "trusted")

    def certificate(self, gateway: str) -> x509.Certificate | None:
        """Return the live certificate, or None."""
        try:
            pem = (self.state / "gateways" / gateway / "live" / "cert.pem").read_bytes()
        except FileNotFoundError:
            return None
        return x509.load_pem_x509_certificate(pem)
