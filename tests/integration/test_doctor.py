"""``gatecert doctor`` with real servers: every problem is provoked and found."""

from __future__ import annotations

import http.server
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

import requests

from harness.certificates import write_self_signed
from harness.gatecert import PLAIN, CommandResult
from harness.nginx import Nginx
from harness.openconnect import authenticate
from harness.pebble import PebbleOptions
from harness.ports import free_port
from harness.process import program
from harness.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import ExitStack
    from pathlib import Path

    import pytest

    from conftest import StartPebble
    from harness.challenge_test_server import ChallengeTestServer
    from harness.gatecert import Gatecert
    from harness.ocserv import Ocserv
    from harness.pebble import Pebble

BOSTON = "boston"
MINUTE = timedelta(minutes=1)

Findings = dict[str, dict[str, Any]]


def diagnose(gatecert: Gatecert, *names: str) -> Findings:
    """Return all findings by code, and check exit code and summary."""
    result = gatecert.run("doctor", *names, "--json")
    document = result.json()
    failed = [each for each in document["findings"] if each["severity"] == "failure"]
    assert document["schema"] == 1
    assert (document["failures"], document["healthy"]) == (len(failed), not failed)
    assert result.exit_code == (1 if failed else 0), result.errors
    return {each["code"]: each for each in document["findings"]}


def failures(found: Findings) -> set[str]:
    return {code for code, each in found.items() if each["severity"] == "failure"}


def assert_same_code(gatecert: Gatecert, pebble: Pebble, code: str) -> str:
    """Check that ``enroll`` reports the doctor's finding, orders nothing and counts no attempt."""
    finding = diagnose(gatecert)[code]
    assert finding["severity"] == "failure"
    assert finding["holds_enrolment"]
    result = gatecert.run("enroll")
    assert result.exit_code == 1
    assert finding["seen"].split(" (pid")[0] in result.errors
    status = gatecert.status(BOSTON)
    assert (status["last_error"]["code"], status["failures"]) == (code, 0)
    assert status["state"] == "failing"
    assert pebble.orders() == 0
    return str(finding["seen"])


# --------------------------------------------------------------------- no problems


def test_a_healthy_gateway_and_the_exported_root(
    gatecert: Gatecert,
    pebble: Pebble,
    names: ChallengeTestServer,
    gateway: Ocserv,
    hostname: str,
    tmp_path: Path,
) -> None:
    names.point(hostname, "127.0.0.1")
    gatecert.use(pebble, names).add_gateway(
        BOSTON,
        hostname,
        install={"reload": gateway.reload_command, "verify": [gateway.address]},
    )
    gatecert.write().run("enroll")  # verified later: the server needs the files to start
    gateway.start()
    gatecert.start()
    gatecert.wait_for(lambda: gatecert.state(BOSTON) == "trusted", "trust", seconds=30)

    checked = gatecert.run("status", "--check=trusted")
    assert (checked.exit_code, checked.errors) == (0, "")
    assert checked.output.startswith("1 of 1 gateways trusted and served, the first certificate")
    assert gatecert.run("status").output.startswith("1 gateway, which is well")

    exported = tmp_path / "root.pem"
    told = gatecert.run("doctor", BOSTON, "--export-root", str(exported))
    found = diagnose(gatecert)

    assert told.exit_code == 0, told.output
    assert "0 failures, 1 warning\n" in told.output
    assert "\x1b" not in told.output
    assert failures(found) == set()
    assert {
        "daemon-ok",
        "authority-ok",
        "clock-ok",
        "terms-ok",
        "region-ok",
        "names-ok",
        "caa-ok",
        "challenge-ok",
        "certificate-ok",
        "served-ok",
        "connect-by-name",
        "root-not-trusted",
        "deployment-ok",
        "attempts-ok",
        "limits-ok",
    } <= found.keys()
    assert "certificates for" in found["limits-ok"]["seen"]
    assert exported.read_bytes() == pebble.root.read_bytes()
    assert authenticate(gateway, hostname, exported).trusted
    assert pebble.orders() == 1


# --------------------------------------------------------------------- the machine


def test_an_invalid_configuration(gatecert: Gatecert) -> None:
    gatecert.configuration["gatways"] = {}
    result = gatecert.write().run("doctor", "--json")
    assert result.exit_code == 2
    finding = next(each for each in result.json()["findings"] if "gatways" in each["seen"])
    assert finding["code"] == "configuration"
    told = gatecert.run("doctor")
    assert told.exit_code == 2
    assert "did you mean" in told.output or "gateways" in told.output
    assert gatecert.run("doctor", "nobody", "--json").exit_code == 2


def test_files_with_unsafe_permissions(
    gatecert: Gatecert, pebble: Pebble, names: ChallengeTestServer, hostname: str
) -> None:
    names.point(hostname, "127.0.0.1")
    gatecert.use(pebble, names).add_gateway(BOSTON, hostname).write()
    assert gatecert.run("enroll").exit_code == 0
    assert {"files-ok", "daemon-stopped", "not-verified", "reload-missing"} <= diagnose(
        gatecert
    ).keys()
    (gatecert.live(BOSTON) / "privkey.pem").chmod(0o644)
    if os.geteuid() == 0:
        os.chown(gatecert.live(BOSTON) / "cert.pem", 12345, -1)

    found = diagnose(gatecert)

    assert failures(found) == {"key-exposed"}
    assert "chmod 0600" in found["key-exposed"]["fix"]
    assert ("files-foreign" in found) == (os.geteuid() == 0)

    gatecert.configuration_file.chmod(0o664)
    refused = gatecert.run("doctor", "--json")
    assert refused.exit_code == 2
    assert [each["code"] for each in refused.json()["findings"]] == ["configuration-exposed"]


def test_a_full_disk(
    gatecert: Gatecert, pebble: Pebble, names: ChallengeTestServer, hostname: str
) -> None:
    names.point(hostname, "127.0.0.1")
    gatecert.use(pebble, names).add_gateway(BOSTON, hostname).write()
    gatecert.state_directory.mkdir(mode=0o700)

    def limited(*arguments: str) -> CommandResult:
        command = [sys.executable, "-m", "gatecert", "-c", str(gatecert.configuration_file)]
        finished = subprocess.run(
            [program("prlimit"), "--fsize=8192", *command, *arguments],
            env={**os.environ, **PLAIN},
            stdin=subprocess.DEVNULL,
            text=True,
            check=False,
            capture_output=True,
            timeout=60,
        )
        return CommandResult(finished.returncode, finished.stdout, finished.stderr)

    diagnosis = limited("doctor", "--json")
    enrolment = limited("enroll")

    found = {each["code"] for each in diagnosis.json()["findings"]}
    assert diagnosis.exit_code == 1
    assert "state-unwritable" in found
    assert enrolment.exit_code == 1
    assert gatecert.status(BOSTON)["last_error"]["code"] == "state-unwritable"
    assert pebble.orders() == 0


def test_an_unreachable_ca(
    gatecert: Gatecert, pebble: Pebble, names: ChallengeTestServer, hostname: str
) -> None:
    names.point(hostname, "127.0.0.1")
    gatecert.use(pebble, names).add_gateway(BOSTON, hostname).write()
    pebble.stop()
    assert gatecert.run("enroll").exit_code == 1

    found = diagnose(gatecert)

    assert {"authority-unreachable", "attempts-failed"} <= found.keys()
    assert gatecert.status(BOSTON)["last_error"]["code"] == "authority-unreachable"


def test_a_refusal_is_reported_in_the_words_of_the_ca(
    gatecert: Gatecert, start_pebble: StartPebble, names: ChallengeTestServer, hostname: str
) -> None:
    pebble = start_pebble(PebbleOptions(blocked=[hostname.partition(".")[2]]))
    names.point(hostname, "127.0.0.1")
    gatecert.use(pebble, names).add_gateway(BOSTON, hostname).write()
    assert gatecert.run("enroll").exit_code == 1

    result = gatecert.run("doctor")
    found = diagnose(gatecert)

    assert result.exit_code == 1
    assert "rejectedIdentifier" in found["last-attempt-failed"]["seen"]
    assert hostname in found["last-attempt-failed"]["seen"]
    assert "0 failures" not in result.output


def test_a_directory_url_without_a_directory(
    gatecert: Gatecert, pebble: Pebble, names: ChallengeTestServer, hostname: str
) -> None:
    names.point(hostname, "127.0.0.1")
    wrong = f"{pebble.directory_url}ectory"
    gatecert.use(pebble, names, directory_url=wrong).add_gateway(BOSTON, hostname).write()

    found = diagnose(gatecert)

    assert "HTTP 404" in found["authority-unreachable"]["seen"]
    assert "correct authorities.pebble.directory_url" in found["authority-unreachable"]["fix"]


@contextmanager
def shifted(pebble: Pebble, shift: timedelta) -> Iterator[str]:
    """Serve Pebble's directory at another address, with another time in the Date header."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def date_time_string(self, timestamp: float | None = None) -> str:
            assert timestamp is None
            return format_datetime(datetime.now(UTC) + shift, usegmt=True)

        def do_GET(self) -> None:
            body = requests.get(
                pebble.directory_url, verify=str(pebble.https_certificate), timeout=5
            ).content
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None: ...  # noqa: A002 - the base class's name

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate = pebble.https_certificate
    context.load_cert_chain(certificate, certificate.with_name("privkey.pem"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"https://127.0.0.1:{server.server_port}/dir"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_wrong_clock(
    gatecert: Gatecert, pebble: Pebble, names: ChallengeTestServer, hostname: str
) -> None:
    names.point(hostname, "127.0.0.1")
    gatecert.use(pebble, names).add_gateway(BOSTON, hostname)
    authority = gatecert.configuration["authorities"]["pebble"]
    with shifted(pebble, -5 * MINUTE) as authority["directory_url"]:
        found = diagnose(gatecert.write())
        assert "5 minutes ahead" in found["clock-off"]["seen"]
    with shifted(pebble, 121 * MINUTE) as authority["directory_url"]:
        assert "2 hours behind" in assert_same_code(gatecert.write(), pebble, "clock-wrong")


def test_terms_without_agreement(
    gatecert: Gatecert, pebble: Pebble, names: ChallengeTestServer, hostname: str
) -> None:
    names.point(hostname, "127.0.0.1")
    gatecert.use(pebble, names, terms_of_service_agreed=False)
    gatecert.add_gateway(BOSTON, hostname).write()
    assert_same_code(gatecert, pebble, "terms-not-agreed")
    assert not [request for request in pebble.requests() if request.startswith("POST")]


# --------------------------------------------------------------------- names


def test_names_that_do_not_point_here(
    gatecert: Gatecert, pebble: Pebble, names: ChallengeTestServer, hostname: str
) -> None:
    gatecert.use(pebble, names).add_gateway(BOSTON, hostname).write()
    assert {"name-no-address", "certificate-missing"} <= failures(diagnose(gatecert))
    names.fail(hostname)
    assert "resolver-failure" in failures(diagnose(gatecert))
    names.stop_failing(hostname)
    names.point(hostname, "127.0.0.9", "127.0.0.1")
    found = diagnose(gatecert)
    assert "127.0.0.9" in found["name-not-here"]["seen"]
    result = gatecert.run("enroll")
    assert result.exit_code == 1
    assert gatecert.status(BOSTON)["last_error"]["code"] == "name-not-here"
    gatecert.configuration["resolver"]["nameservers"] = [f"127.0.0.1:{free_port()}"]
    gatecert.configuration["resolver"]["timeout"] = "1s"
    unanswered = failures(diagnose(gatecert.write()))
    assert unanswered & {"resolver-timeout", "resolver-failure"}
    assert pebble.orders() == 0


def test_caa_records_that_forbid_the_ca(
    gatecert: Gatecert, pebble: Pebble, names: ChallengeTestServer, hostname: str
) -> None:
    domain = hostname.partition(".")[2]
    names.point(hostname, "127.0.0.1")
    names.restrict(domain, "other.example")
    gatecert.use(pebble, names).add_gateway(BOSTON, hostname).write()
    seen = assert_same_code(gatecert, pebble, "caa-forbids")
    assert domain in seen
    assert "other.example" in seen
    next_at = datetime.fromisoformat(gatecert.status(BOSTON)["next_at"])
    assert next_at - datetime.now(UTC) > timedelta(hours=23)

    gatecert.start()
    gatecert.wait_logged("ready")
    gatecert.look_again()
    gatecert.wait_logged("allow only other.example to issue")
    assert pebble.orders() == 0
    names.restrict(hostname, "pebble.letsencrypt.org")
    gatecert.look_again()
    gatecert.wait_enrolled(BOSTON)
    assert "caa-ok" in diagnose(gatecert)
    names.fail(domain)
    names.lift_restriction(hostname)
    assert "caa-unknown" in diagnose(gatecert)


def test_regions_pairs_and_custom_gateways(
    gatecert: Gatecert, pebble: Pebble, names: ChallengeTestServer, hostname: str
) -> None:
    gatecert.use(pebble, names)
    gatecert.add_gateway("peking", "vpn.example.cn")
    gatecert.add_gateway("hq", "vpn.company.com", mode="custom", client_authentication={})
    members = {
        "one": {"common_name": "one.dynamic-m.com"},
        "two": {"common_name": "two.dynamic-m.com"},
    }
    gatecert.add_gateway("pair", hostname, members=members)
    gatecert.write()
    assert gatecert.run("enroll", "hq").exit_code == 0
    assert gatecert.run("csr", "hq").exit_code == 0
    before = len(pebble.requests())

    peking, own = diagnose(gatecert, "peking"), diagnose(gatecert, "hq")

    assert "mode: custom" in peking["region-excluded"]["seen"]
    assert not {"authority-ok", "caa-ok", "challenge-ok"} & (peking.keys() | own.keys())
    assert len(pebble.requests()) == before
    assert {
        "request-pending",
        "bootstrap-until-import",
        "client-ca-missing",
        "name-elsewhere",
    } <= own.keys()
    assert "gatecert csr pair" in diagnose(gatecert, "pair")["use-custom-mode"]["seen"]


def test_client_cas(gatecert: Gatecert, names: ChallengeTestServer) -> None:
    gatecert.configuration["resolver"] = {"nameservers": [names.address]}
    gatecert.add_gateway("hq", "vpn.company.com", mode="custom", client_authentication={}).write()
    bundle = gatecert.state_directory / "gateways" / "hq" / "client-ca" / "bundle.pem"
    bundle.parent.mkdir(parents=True, mode=0o700)

    def with_bundle(days: int) -> Findings:
        write_self_signed(bundle, bundle.with_suffix(".key"), ["users.example"], days=days)
        return diagnose(gatecert)

    assert "users.example" in with_bundle(400)["client-ca-ok"]["seen"]
    known = gatecert.state_directory.parent / "known"
    gatecert.configuration["gateways"]["hq"]["client_authentication"] = {
        "known_users": str(known),
        "crl_files": [str(known / "none.crl")],
    }
    gatecert.write()
    assert {"known-users-unreadable", "client-crl-unusable"} <= with_bundle(400).keys()
    known.mkdir()
    write_self_signed(known / "a.pem", bundle.with_suffix(".a"), ["alice.example"], days=0)
    write_self_signed(known / "b.pem", bundle.with_suffix(".b"), ["bob.example"], days=9)
    found = with_bundle(400)
    assert "(a.pem)" in found["known-users-ended"]["seen"]
    assert "(b.pem)" in found["known-users-end"]["seen"]
    assert "client-ca-ends-soon" in with_bundle(10)
    assert "client-ca-expired" in failures(with_bundle(0))
    bundle.write_text("damaged")
    assert "client-ca-unreadable" in failures(diagnose(gatecert))


# --------------------------------------------------------------------- challenges


def test_an_occupied_port(
    gatecert: Gatecert, pebble: Pebble, names: ChallengeTestServer, hostname: str
) -> None:
    names.point(hostname, "127.0.0.1")
    gatecert.use(pebble, names).add_gateway(BOSTON, hostname).write()
    with socket.create_server(("127.0.0.1", pebble.ports.http01)):
        seen = assert_same_code(gatecert, pebble, "address-in-use")
        assert f"pid {os.getpid()}" in seen
        gatecert.start()
        gatecert.wait_logged("ready")
        gatecert.look_again()
        gatecert.wait_logged("is in use by")
    gatecert.look_again()
    gatecert.wait_enrolled(BOSTON)
    assert pebble.orders() == 1


def test_a_challenge_that_cannot_be_answered(
    gatecert: Gatecert, pebble: Pebble, names: ChallengeTestServer, hostname: str
) -> None:
    names.point(hostname, "127.0.0.1")
    gatecert.use(pebble, names).add_gateway(BOSTON, hostname)
    gatecert.configuration["challenges"]["http-01"] = {"listen": ["192.0.2.1:80"]}
    assert "192.0.2.1:80" in assert_same_code(gatecert.write(), pebble, "challenge")


# --------------------------------------------------------------------- certificates


def test_a_bootstrap_certificate_that_stays(
    gatecert: Gatecert, pebble: Pebble, names: ChallengeTestServer, hostname: str
) -> None:
    gatecert.use(pebble, names).add_gateway(BOSTON, hostname).write()
    assert gatecert.run("enroll").exit_code == 1
    assert "bootstrap-young" in diagnose(gatecert)
    about = gatecert.live(BOSTON).resolve() / "meta.json"
    record = json.loads(about.read_text())
    record["created"] = (datetime.now(UTC) - 11 * MINUTE).isoformat()
    about.write_text(json.dumps(record))

    found = diagnose(gatecert)

    assert "bootstrap-still" in failures(found)
    assert "[name-no-address]" in found["bootstrap-still"]["seen"]


def test_a_certificate_that_expires_or_lacks_a_name(
    gatecert: Gatecert, start_pebble: StartPebble, names: ChallengeTestServer, hostname: str
) -> None:
    pebble = start_pebble(PebbleOptions(profiles={"default": 8}))
    names.point(hostname, "127.0.0.1")
    gatecert.use(pebble, names).add_gateway(BOSTON, hostname).write()
    assert gatecert.run("enroll").exit_code == 0
    gatecert.configuration["gateways"][BOSTON]["alternative_names"] = [f"www.{hostname}"]
    assert f"www.{hostname}" in diagnose(gatecert.write())["certificate-names"]["seen"]
    certificate = gatecert.certificate(BOSTON)
    assert certificate is not None
    end = certificate.not_valid_after_utc
    wait_until(lambda: datetime.now(UTC) > end, "the certificate to end", seconds=15)
    assert "certificate-expired" in failures(diagnose(gatecert))


def test_an_order_in_progress(
    gatecert: Gatecert,
    start_pebble: StartPebble,
    names: ChallengeTestServer,
    hostname: str,
    tmp_path: Path,
) -> None:
    pebble = start_pebble(PebbleOptions(reused_authorizations=0))
    names.point(hostname, "127.0.0.1")
    gatecert.use(pebble, names).add_gateway(BOSTON, hostname)
    webroot = tmp_path / "html"
    webroot.mkdir()
    gatecert.configuration["challenges"] = {"http-01": {"webroot": str(webroot)}}
    # gatecert is killed while the CA waits for a response.
    with socket.create_server(("127.0.0.1", pebble.ports.http01)):
        gatecert.start()
        wait_until(lambda: list(webroot.rglob("*/acme-challenge/*")), "a response in the webroot")
        gatecert.process.kill()
    found = diagnose(gatecert)
    assert "pebble" in found["order-pending"]["seen"]
    assert "request-pending" not in found


# --------------------------------------------------------------------- served certificates


def test_served_certificates(
    gatecert: Gatecert,
    pebble: Pebble,
    names: ChallengeTestServer,
    servers: ExitStack,
    hostname: str,
    tmp_path: Path,
) -> None:
    names.point(hostname, "127.0.0.1")
    fullchain, private_key = tmp_path / "server.pem", tmp_path / "server.key"
    write_self_signed(fullchain, private_key, ["other.example"])
    nginx = servers.enter_context(
        Nginx(tmp_path / "nginx", fullchain=fullchain, private_key=private_key)
    )
    gatecert.use(pebble, names).add_gateway(BOSTON, hostname)
    gatecert.write()
    assert gatecert.run("enroll").exit_code == 0
    install = {"reload": ["/bin/false"], "verify": [nginx.address]}
    gatecert.configuration["gateways"][BOSTON]["install"] = install

    found = diagnose(gatecert.write())
    assert failures(found) == {"not-served"}
    assert "other.example" in found["not-served"]["seen"]

    def serve(name: str) -> None:
        shutil.copyfile(gatecert.live(BOSTON) / name, fullchain)
        shutil.copyfile(gatecert.live(BOSTON) / "privkey.pem", private_key)
        nginx.process.stop()
        nginx.start()

    serve("cert.pem")
    assert "fullchain.pem" in diagnose(gatecert)["chain-incomplete"]["seen"]
    serve("fullchain.pem")
    assert "served-ok" in diagnose(gatecert)
    nginx.process.stop()
    assert failures(diagnose(gatecert)) == {"listener-silent"}
    waiting = gatecert.run("enroll", "--force")
    assert waiting.exit_code == 0
    assert "not proven: nothing listens" in waiting.output
    assert failures(diagnose(gatecert)) == {"listener-silent"}
    nginx.start()
    assert gatecert.run("enroll").exit_code == 1
    assert {"deployment-failed", "not-served"} <= failures(diagnose(gatecert))


@contextmanager
def by_name_only(directory: Path, hostname: str, other: tuple[Path, Path]) -> Iterator[int]:
    """A server that serves its certificate only with its server name, and another one otherwise."""
    default, named = (
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER),
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER),
    )
    default.load_cert_chain(*other)
    named.load_cert_chain(directory / "fullchain.pem", directory / "privkey.pem")

    def choose(channel: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        if name == hostname:
            channel.context = named

    default.sni_callback = choose
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with suppress(OSError):
            while True:
                stream, _ = listener.accept()
                with suppress(OSError), default.wrap_socket(stream, server_side=True) as tls:
                    tls.recv(1)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def test_served_certificates_without_a_server_name(
    gatecert: Gatecert, pebble: Pebble, names: ChallengeTestServer, hostname: str, tmp_path: Path
) -> None:
    names.point(hostname, "127.0.0.1")
    other = tmp_path / "other.pem", tmp_path / "other.key"
    write_self_signed(*other, ["default.example"])
    gatecert.use(pebble, names).add_gateway(BOSTON, hostname).write()
    assert gatecert.run("enroll").exit_code == 0
    with by_name_only(gatecert.live(BOSTON), hostname, other) as port:
        gatecert.configuration["gateways"][BOSTON]["install"] = {"verify": [f"127.0.0.1:{port}"]}
        found = diagnose(gatecert.write())
    assert "served-ok" in found
    assert "default.example" in found["address-shows-other"]["seen"]


def test_an_unknown_root_cannot_be_exported(
    gatecert: Gatecert, pebble: Pebble, names: ChallengeTestServer, hostname: str, tmp_path: Path
) -> None:
    names.point(hostname, "127.0.0.1")
    gatecert.use(pebble, names)
    del gatecert.configuration["authorities"]["pebble"]["trusted_roots"]
    gatecert.add_gateway(BOSTON, hostname).write()
    assert gatecert.run("enroll").exit_code == 0
    assert "root-unknown" in diagnose(gatecert)
    result = gatecert.run("doctor", "--export-root", str(tmp_path / "root.pem"))
    assert result.exit_code == 1
    assert "no root is known" in result.errors
    nowhere = gatecert.run("doctor", "--export-root", str(tmp_path / "none" / "root.pem"))
    assert nowhere.exit_code == 1
    assert "No such file" in nowhere.errors


def test_a_root_that_this_machine_trusts(
    gatecert: Gatecert,
    pebble: Pebble,
    names: ChallengeTestServer,
    hostname: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names.point(hostname, "127.0.0.1")
    gatecert.use(pebble, names).add_gateway(BOSTON, hostname).write()
    assert gatecert.run("enroll").exit_code == 0
    monkeypatch.setenv("SSL_CERT_FILE", str(pebble.root))
    assert "root-ok" in diagnose(gatecert)
