"""The real gatecert command, as a daemon and beside a daemon."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

import yaml
from cryptography import x509

from harness.process import BackgroundProcess
from harness.server import Server
from harness.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Self

    from harness.challenge_test_server import ChallengeTestServer
    from harness.named import Named
    from harness.network import PrivateNetwork
    from harness.pebble import Pebble

COMMAND_TIMEOUT = 60.0  # seconds


@dataclass(frozen=True, slots=True)
class CommandResult:
    """Result of a command."""

    exit_code: int
    output: str
    errors: str

    def json(self) -> Any:  # noqa: ANN401 - any JSON
        """Parse standard output as JSON."""
        return json.loads(self.output)


class LiveFiles(TypedDict):
    """The two files of a server's configuration."""

    fullchain: Path
    private_key: Path


class Gatecert(Server):
    """A configuration with its state directory, and the commands that use them.

    Args:
        directory: For ``config.yaml``, ``state/`` and the daemon's log.
        state_directory: Instead of ``state/``.
        environment: Added to every command's.
        network: The network whose nameserver every command asks; None for the machine's.

    Attributes:
        configuration: As it will be written by ``write``; change it as needed.
        daemon: The daemon, running or not.
    """

    def __init__(
        self,
        directory: Path,
        *,
        state_directory: Path | None = None,
        environment: Mapping[str, str] | None = None,
        network: PrivateNetwork | None = None,
    ) -> None:
        self._network = network
        directory.mkdir(parents=True, exist_ok=True)
        self._environment = {**PLAIN, **(environment or {})}
        self.configuration_file = directory / "config.yaml"
        self.state_directory = state_directory or directory / "state"
        self.configuration: dict[str, Any] = {
            "state_directory": str(self.state_directory),
            "authorities": {},
            "gateways": {},
        }
        self.process = BackgroundProcess(
            [*self.command, "run"], log=directory / "gatecert.log", environment=self._environment
        )

    # ------------------------------------------------------------------ configuration

    def use(self, pebble: Pebble, names: ChallengeTestServer | Named, **authority: Any) -> Self:  # noqa: ANN401
        """Enrol with this CA, and use its resolver.

        Args:
            pebble: Validates http-01 at a port on which gatecert listens.
            names: The resolver.
            authority: Further configuration keys of the CA.
        """
        self.configuration["authorities"]["pebble"] = {
            "directory_url": pebble.directory_url,
            "contact": ["ops@example.com"],
            "terms_of_service_agreed": True,
            "ca_bundle": str(pebble.https_certificate),
            "trusted_roots": str(pebble.root),
            **authority,
        }
        self.configuration["resolver"] = {"nameservers": [names.address], "interval": "1s"}
        self.configuration["challenges"] = {
            "http-01": {"listen": [f"127.0.0.1:{pebble.ports.http01}"]}
        }
        return self

    def add_gateway(self, name: str, hostname: str, **keys: Any) -> Self:  # noqa: ANN401
        """Add a gateway with the address 127.0.0.1."""
        self.configuration["gateways"][name] = {
            "hostname": hostname,
            "addresses": ["127.0.0.1"],
            **keys,
        }
        return self

    def write(self) -> Self:
        """Write the configuration."""
        text = yaml.safe_dump(self.configuration, sort_keys=False)
        self.configuration_file.write_text(text, "utf-8")
        return self

    # ------------------------------------------------------------------ commands

    def run(self, *arguments: str, seconds: float = COMMAND_TIMEOUT) -> CommandResult:
        """Run a command to its end; the caller checks the exit code."""
        finished = subprocess.run(
            [*self.command, *arguments],
            env={**os.environ, **self._environment},
            stdin=subprocess.DEVNULL,
            text=True,
            check=False,
            capture_output=True,
            timeout=seconds,
        )
        return CommandResult(finished.returncode, finished.stdout, finished.stderr)

    def status(self, name: str) -> dict[str, Any]:
        """Return a gateway's object from ``status --json``."""
        result = self.run("status", name, "--json")
        if not result.output:
            raise AssertionError(f"status {name} --json said nothing: {result.errors}")
        gateways: list[dict[str, Any]] = result.json()["gateways"]
        return next(gateway for gateway in gateways if gateway["name"] == name)

    def last_error(self, name: str) -> str | None:
        """Return the code of the last problem, or None."""
        error = self.status(name)["last_error"]
        return error["code"] if error else None

    def state(self, name: str) -> str:
        """Return the state of a gateway, one word."""
        return str(self.status(name)["state"])

    # ------------------------------------------------------------------ the daemon

    def start(self) -> Self:
        """Write the configuration and start the daemon."""
        self.write()
        self.process.start()
        return self

    def use_debug(self) -> None:
        """Have the daemon log everything from the next start on."""
        self.process.argv = (*self.command, "--debug", "run")

    def look_again(self) -> None:
        """Make the daemon check everything now (SIGUSR1)."""
        self.process.signal(signal.SIGUSR1)

    def workers(self) -> list[int]:
        """Return the process ids of the daemon's workers, without those that have ended."""
        return self._children("gatecert.worker")

    def monitors(self) -> list[int]:
        """Return the process ids of the daemon's monitors, without those that have ended."""
        return self._children("gatecert.monitoring")

    def followers(self) -> list[int]:
        """Return the process ids of the daemon's followers, without those that have ended."""
        return self._children("gatecert.follower")

    def _children(self, module: str) -> list[int]:
        """Return the processes that the daemon has started with this module."""
        found = []
        for path in Path("/proc").glob("[0-9]*/stat"):
            try:
                state, parent = path.read_text("ascii", "replace").rpartition(")")[2].split()[:2]
                command = path.with_name("cmdline").read_bytes().decode(errors="replace")
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(parent) == self.process.pid and state != "Z" and module in command:
                found.append(int(path.parent.name))
        return found

    def wait_no_workers(self, *, seconds: float = 15.0) -> None:
        """Wait until every worker has left."""
        self.wait_for(lambda: not self.workers(), "the workers to leave", seconds=seconds)

    def reload(self) -> None:
        """Write the configuration and make the daemon read it (SIGHUP)."""
        self.write()
        self.process.signal(signal.SIGHUP)

    # ------------------------------------------------------------------ files

    def live(self, name: str) -> Path:
        """Return the directory that servers read."""
        return self.state_directory / "gateways" / name / "live"

    def files(self, name: str) -> LiveFiles:
        """Return the files that a server of that gateway reads."""
        live = self.live(name)
        return LiveFiles(fullchain=live / "fullchain.pem", private_key=live / "privkey.pem")

    def certificate(self, name: str) -> x509.Certificate | None:
        """Return the live certificate, or None."""
        try:
            pem = (self.live(name) / "cert.pem").read_bytes()
        except FileNotFoundError:
            return None
        return x509.load_pem_x509_certificate(pem)

    def is_enrolled(self, name: str) -> bool:
        """Return True if the live certificate comes from a CA."""
        certificate = self.certificate(name)
        return certificate is not None and certificate.issuer != certificate.subject

    def wait_for(self, attempt: Callable[[], object], what: str, *, seconds: float = 15.0) -> None:
        """Wait until a condition holds; show the daemon's log if it does not.

        Raises:
            AssertionError: It did not hold in time, or the daemon ended.
        """

        def watched() -> bool:
            if self.process.started_at and not self.process.alive:
                raise AssertionError(f"gatecert ended\n{self.process.tail()}")
            return bool(attempt())

        wait_until(watched, what, seconds=seconds, explain=self.process.tail)

    def wait_bootstrapped(self, name: str, *, seconds: float = 10.0) -> None:
        """Wait until there is any certificate."""
        self.wait_for(lambda: self.certificate(name), f"a certificate of {name}", seconds=seconds)

    def wait_enrolled(self, name: str, *, seconds: float = 15.0) -> None:
        """Wait until a certificate from a CA is live."""
        self.wait_for(lambda: self.is_enrolled(name), f"{name} to be enrolled", seconds=seconds)

    def wait_logged(self, text: str, *, seconds: float = 15.0, times: int = 1) -> None:
        """Wait until the daemon has logged a text that often."""
        self.wait_for(
            lambda: self.process.output.count(text) >= times,
            f"the daemon to log {text!r} {times} times",
            seconds=seconds,
        )

    @property
    def command(self) -> list[str]:
        """Return the command with its configuration."""
        executable = Path(sys.executable).with_name("gatecert")
        if not executable.is_file():
            raise RuntimeError(f"{executable} is missing: run `make setup`")
        command = [str(executable), "-c", str(self.configuration_file)]
        return command if self._network is None else self._network.resolving(*command)


# Variables of terminals and service managers do not belong in a test.
# "container": errors advise as on a host, wherever the tests run.
PLAIN: Mapping[str, str] = {"NO_COLOR": "1", "TERM": "dumb", "COLUMNS": "200", "container": ""}
