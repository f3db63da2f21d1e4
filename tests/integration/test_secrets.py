"""Secrets stay where they belong: the tests plant them and search everything else for them."""

from __future__ import annotations

import base64
import secrets
import signal
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING

import pytest

from harness.canary import Canaries, ProcessWatch, forms, variables
from harness.certificates import write_self_signed
from harness.gatecert import PLAIN
from harness.named import Named, TsigKey, Zone
from harness.pebble import Pebble, PebbleOptions
from harness.process import BackgroundProcess

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import ExitStack
    from pathlib import Path

    from harness.gatecert import CommandResult, Gatecert

BOSTON = "boston"
HOSTNAME = "vpn.example.com"
HOOK = """\
#!/bin/sh
{{ tr '\\0' '\\n' </proc/$$/cmdline; env; ls -l /proc/$$/fd; }} >> {dump}
"""
COMMANDS = (
    ("check",),
    ("status",),
    ("status", "--json"),
    ("doctor",),
    ("doctor", "--json"),
    ("profile", BOSTON),
    ("account", "show"),
    ("enroll", BOSTON, "--force"),
)


@pytest.fixture
def echo() -> Iterator[str]:
    """A DNS provider that refuses everything and repeats the request in its response."""

    class Refusing(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            told = f"{self.requestline}\n{self.headers}".encode()
            self.send_response(401, f"no {self.headers.get('X-API-Key')}")
            self.send_header("Content-Length", str(len(told)))
            self.end_headers()
            self.wfile.write(told)

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    server = HTTPServer(("127.0.0.1", 0), Refusing)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


class Scene:
    """Every kind of secret, each in its own file."""

    def __init__(self, servers: ExitStack, gatecert: Gatecert, directory: Path) -> None:
        self.gatecert = gatecert
        self.directory = directory
        self.vault = directory / "vault"
        self.vault.mkdir(mode=0o700)
        self.canaries = Canaries()
        self.tsig = TsigKey()
        self.hmac = base64.urlsafe_b64encode(secrets.token_bytes(48)).decode()
        self.password = secrets.token_urlsafe(24)
        self.token = secrets.token_urlsafe(24)
        for name, secret in {
            "TSIG secret": base64.b64decode(self.tsig.secret),
            "EAB key": base64.urlsafe_b64decode(self.hmac),
            "PKCS #12 password": self.password.encode(),
            "provider's token": self.token.encode(),
        }.items():
            self.canaries.plant(name, secret)
        zone = Zone("example.com", records=("vpn IN A 127.0.0.1",))
        self.named = servers.enter_context(
            Named(directory / "named", zones=[zone], keys=[self.tsig])
        )
        self.pebble = servers.enter_context(
            Pebble(
                directory / "pebble",
                dns_server=self.named.address,
                options=PebbleOptions(external_accounts={"kid-1": self.hmac.rstrip("=")}),
            )
        )
        self.told: list[CommandResult] = []
        self.dump = directory / "hook-dump"
        self._configure()

    def keep(self, name: str, text: str) -> str:
        """Write a secret to a file with mode 0600."""
        path = self.vault / name
        path.touch(0o600)
        path.write_text(f"{text}\n", "ascii")
        return str(path)

    def _configure(self) -> None:
        hook = self.directory / "hook"
        hook.write_text(HOOK.format(dump=self.dump), "ascii")
        hook.chmod(0o700)
        external = {"key_id": "kid-1", "hmac_key_file": self.keep("hmac", self.hmac)}
        certificate, key = self.vault / "client.pem", self.vault / "client.key"
        write_self_signed(certificate, key, [HOSTNAME])
        self.canaries.plant_key(key)
        self.gatecert.use(
            self.pebble,
            self.named,
            external_account=external,
            client_certificate=str(certificate),
            client_key=str(key),
        )
        self.update = {
            "provider": "rfc2136",
            "server": self.named.address,
            "tsig": {
                "name": self.tsig.name,
                "algorithm": self.tsig.algorithm,
                "secret_file": self.keep("tsig", self.tsig.secret),
            },
            "ttl": "1s",
            "authoritative": [self.named.address],
        }
        self.gatecert.configuration["challenges"]["dns-01"] = self.update
        copy = {
            "path": str(self.directory / "boston.p12"),
            "contents": "pkcs12",
            "password_file": self.keep("password", self.password),
        }
        self.gatecert.add_gateway(
            BOSTON,
            HOSTNAME,
            challenge="dns-01",
            install={"reload": [str(hook)], "copy_to": [copy]},
            client_authentication={},
        ).write()

    def run(self, *arguments: str) -> CommandResult:
        """Run a command and return all its output."""
        self.told.append(self.gatecert.run(*arguments))
        return self.told[-1]

    def fail(self, *, plainly: bool = False) -> None:
        """Place an order that fails; with a traceback, unless ``plain``."""
        command = ("enroll", BOSTON, "--force")
        result = self.run(*command) if plainly else self.run("--debug", *command)
        assert result.exit_code == 1, result

    def try_errors(self, echo: str) -> None:
        """Provoke every failure that involves a secret."""
        settings = self.gatecert.configuration["challenges"]
        self.keep("tsig", base64.b64encode(b"not the secret of this key").decode())
        self.fail()
        self.fail(plainly=True)
        self.keep("tsig", f"{self.tsig.secret}?")
        self.fail()
        self.keep("tsig", self.tsig.secret)
        settings["dns-01"] = {
            "provider": "powerdns",
            "options": {"pdns_server": echo},
            "credentials": {"auth_token": self.keep("token", self.token)},
            "authoritative": [self.named.address],
        }
        self.gatecert.write()
        self.fail()
        self.fail(plainly=True)
        settings["dns-01"] = self.update
        self.gatecert.write()
        self.damage_files()
        written = self.gatecert.configuration_file.read_text("utf-8")
        self.gatecert.configuration_file.write_text(written.replace("- ", "- [", 1), "utf-8")
        assert self.run("--debug", "check").exit_code == 2
        assert self.run("check").exit_code == 2
        self.gatecert.write()
        self.pebble.stop()
        self.fail()

    def damage_files(self) -> None:
        """Break the state, and create the account again with a wrong key."""
        for path in self.gatecert.state_directory.glob("gateways/*/state.json"):
            path.write_text('{"schema": 1, "failures": "many"}', "ascii")
        assert self.run("--debug", "status").exit_code == 0
        account = self.gatecert.state_directory / "accounts" / "pebble"
        kept = (account / "key.pem").read_bytes()
        for path in account.iterdir():
            path.unlink()
        self.keep("hmac", f"{self.hmac}!")
        self.fail()
        (account / "key.pem").write_bytes(kept)
        self.keep("hmac", self.hmac)

    def belongs(self, path: Path) -> bool:
        """Return True if a file may hold a secret."""
        state = self.gatecert.state_directory
        if path.is_relative_to(state):
            return path.name == "privkey.pem" or path.parent.parent == state / "accounts"
        others = (self.vault, self.directory / "named", self.directory / "pebble")
        return any(path.is_relative_to(other) for other in others)


def test_no_secret_leaks(servers: ExitStack, gatecert: Gatecert, tmp_path: Path, echo: str) -> None:
    scene = Scene(servers, gatecert, tmp_path)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    daemon = gatecert.process.argv
    argv = (daemon[0], "--debug", *daemon[1:])
    environment = {**PLAIN, "TMPDIR": str(temporary)}
    log = tmp_path / "debug.log"
    marker = str(tmp_path).encode()

    with ProcessWatch(lambda arguments: marker in arguments and b"/gatecert" in arguments) as watch:
        with BackgroundProcess(argv, log=log, environment=environment) as running:
            gatecert.wait_for(lambda: gatecert.is_enrolled(BOSTON), "an enrolment", seconds=30)
            running.signal(signal.SIGHUP)
            running.signal(signal.SIGUSR1)
            results = {arguments: scene.run("--debug", *arguments) for arguments in COMMANDS}
            scene.try_errors(echo)
            assert running.stop() == 0
        for path in gatecert.state_directory.rglob("privkey.pem"):
            scene.canaries.plant_key(path)
    scene.canaries.plant_key(gatecert.state_directory / "accounts" / "pebble" / "key.pem")

    assert results["check",].exit_code == 0, results["check",]
    assert results["enroll", BOSTON, "--force"].exit_code == 0
    assert len(scene.canaries.secrets) >= 7
    assert any(argv[0].encode() in arguments for arguments in watch.seen)
    assert b"hook" in b"".join(watch.seen) or scene.dump.exists()
    for result in scene.told:
        assert scene.canaries.found_in((result.output + result.errors).encode()) == []
    assert scene.canaries.found_in(log.read_bytes()) == []
    assert scene.canaries.found_in(watch.everything) == []
    assert scene.canaries.found_below(tmp_path, scene.belongs) == []
    hooks = variables(scene.dump.read_bytes().replace(b"\n", b"\0"))
    assert {name for name in hooks if name.startswith("GATECERT_")} == {
        "GATECERT_GATEWAY", "GATECERT_HOSTNAME", "GATECERT_LIVE", "GATECERT_VERSION",
    }  # fmt: skip
    assert not {"CREDENTIALS_DIRECTORY", "NOTIFY_SOCKET"} & hooks.keys()


@pytest.mark.parametrize("secret", [bytes(range(7, 256, 8)), b"p/a+s s\xc3\xa9word-of-some-length"])
def test_a_leaked_secret_is_found(secret: bytes, tmp_path: Path) -> None:
    """Prove that the test above can fail."""
    canaries = Canaries()
    canaries.plant("planted", secret)
    for way, form in forms(secret).items():
        leak = b"2026-11-23 DEBUG key=" + form + b" more\n"
        assert canaries.found_in(leak), way
    body = base64.encodebytes(b"\x30\x81\x87\x02" + secret + b"\x01" * 90).replace(b"\n", b"\n ")
    assert canaries.found_in(b"-----BEGIN PRIVATE KEY-----\n" + body)
    assert canaries.found_in(body.replace(b"\n ", b"\\n"))
    (tmp_path / "tmp" / "deep").mkdir(parents=True)
    (tmp_path / "tmp" / "deep" / "core").write_bytes(b"\0" * 100 + secret)
    assert len(canaries.found_below(tmp_path, lambda _: False)) >= 1
    assert canaries.found_below(tmp_path, lambda path: path.name == "core") == []
    assert canaries.found_in(b"nothing of the kind: " + secrets.token_bytes(2000)) == []


def test_arguments_and_environments_of_short_lived_processes_are_seen(tmp_path: Path) -> None:
    with ProcessWatch(lambda arguments: b"canary-argument" in arguments) as watch:
        process = BackgroundProcess(
            ["/bin/sh", "-c", "sleep 0.3; exit 0", "canary-argument"],
            log=tmp_path / "log",
            environment={"SECRET": "canary-value"},
        )
        with process:
            process.wait(10)

    assert b"canary-value" in watch.everything
