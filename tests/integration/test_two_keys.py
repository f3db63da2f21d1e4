"""A certificate for each of two kinds of key, with real servers that serve both."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from harness.nginx import Nginx
from harness.ocserv import PASSWORD_ONLY, Ocserv
from harness.openssl import TIMEOUT
from harness.process import program

if TYPE_CHECKING:
    from contextlib import ExitStack
    from pathlib import Path

    from harness.challenge_test_server import ChallengeTestServer
    from harness.gatecert import Gatecert
    from harness.pebble import Pebble

BOSTON = "boston"
SIGNATURES = {"ecdsa": "ECDSA+SHA256", "rsa": "RSA-PSS+SHA256:RSA+SHA256"}
TWO = {"type": "ecdsa-p256", "second": "rsa-2048"}


def served(address: str, name: str, algorithm: str, root: Path) -> bytes:
    """Return the certificate that OpenSSL's client gets if it accepts one kind of key only; PEM."""
    finished = subprocess.run(
        [
            *(program("openssl"), "s_client", "-connect", address, "-servername", name),
            *("-CAfile", root, "-verify_return_error", "-verify_hostname", name),
            *("-sigalgs", SIGNATURES[algorithm]),
        ],
        input="Q\n",
        text=True,
        check=False,
        capture_output=True,
        timeout=TIMEOUT,
    )
    assert "Verify return code: 0 (ok)" in finished.stdout, finished.stdout + finished.stderr
    _, begin, rest = finished.stdout.partition("-----BEGIN CERTIFICATE-----")
    body, end, _ = rest.partition("-----END CERTIFICATE-----\n")
    return f"{begin}{body}{end}".encode()


def pair(gatecert: Gatecert, address: str, hostname: str, root: Path) -> tuple[bytes, bytes]:
    """Return both served certificates, and check that they are the installed ones."""
    found = tuple(served(address, hostname, algorithm, root) for algorithm in ("ecdsa", "rsa"))
    live = gatecert.live(BOSTON)
    assert found == tuple((live / f"{it}cert.pem").read_bytes() for it in ("", "second-"))
    second = x509.load_pem_x509_certificate(found[1])
    assert isinstance(second.public_key(), rsa.RSAPublicKey)
    return found[0], found[1]


def codes(gatecert: Gatecert) -> dict[str, dict[str, Any]]:
    document = gatecert.run("doctor", BOSTON, "--json").json()
    return {each["code"]: each for each in document["findings"]}


def test_nginx_serves_both_and_both_are_renewed_together(
    servers: ExitStack,
    gatecert: Gatecert,
    pebble: Pebble,
    names: ChallengeTestServer,
    hostname: str,
    tmp_path: Path,
) -> None:
    live = gatecert.live(BOSTON)
    nginx = Nginx(
        tmp_path / "nginx",
        **gatecert.files(BOSTON),
        more=f"ssl_certificate {live}/second-fullchain.pem;"
        f" ssl_certificate_key {live}/second-privkey.pem;",
    )
    install = {
        "reload": nginx.reload_command,
        "verify": [nginx.address],
        "verify_timeout": "2s",
        "keep_versions": 5,
    }
    gatecert.use(pebble, names).add_gateway(BOSTON, hostname, key=TWO, install=install).start()
    gatecert.wait_bootstrapped(BOSTON)
    servers.enter_context(nginx)  # with a bootstrap certificate for each
    assert served_by_anybody(nginx.address, "rsa")
    names.point(hostname, "127.0.0.1")
    gatecert.look_again()
    gatecert.wait_for(lambda: gatecert.state(BOSTON) == "trusted", "trust", seconds=30)

    first = pair(gatecert, nginx.address, hostname, pebble.root)
    assert pebble.orders() == 2
    status = gatecert.status(BOSTON)
    assert (status["served"], status["second"]["algorithm"]) == (True, "rsa")
    assert "RSA, " in gatecert.run("status", BOSTON).output
    findings = gatecert.run("doctor", "--json").json()["findings"]
    seen = " ".join(each["seen"] for each in findings if each["code"] == "served-ok")
    assert f"{nginx.address} (ECDSA) serves the installed" in seen
    assert f"{nginx.address} (RSA) serves the installed" in seen

    assert gatecert.run("enroll", "--force").exit_code == 0
    second = pair(gatecert, nginx.address, hostname, pebble.root)
    assert not set(first) & set(second)
    keys = {path.read_bytes() for path in gatecert.state_directory.rglob("*privkey.pem")}
    assert len(keys) == 6  # bootstrap, first and second, each with two

    gatecert.configuration["gateways"][BOSTON]["install"]["reload"] = ["/bin/true"]
    gatecert.write()
    refused = gatecert.run("enroll", "--force")
    assert refused.exit_code == 1
    assert "(RSA) still serves" in refused.errors
    assert "(ECDSA) still serves" in refused.errors
    assert "stays in place" in refused.errors
    assert gatecert.certificate(BOSTON) not in second

    gatecert.configuration["gateways"][BOSTON]["install"]["reload"] = nginx.reload_command
    gatecert.write()
    assert gatecert.run("enroll").exit_code == 0
    third = pair(gatecert, nginx.address, hostname, pebble.root)
    assert not set(second) & set(third)


def served_by_anybody(address: str, algorithm: str) -> bool:
    finished = subprocess.run(
        [program("openssl"), "s_client", "-connect", address, "-sigalgs", SIGNATURES[algorithm]],
        input="Q\n",
        text=True,
        check=False,
        capture_output=True,
        timeout=TIMEOUT,
    )
    return "BEGIN CERTIFICATE" in finished.stdout


@pytest.mark.parametrize("both", [True, False])
def test_ocserv_serves_both_or_the_missing_one_is_reported(
    servers: ExitStack,
    gatecert: Gatecert,
    pebble: Pebble,
    names: ChallengeTestServer,
    hostname: str,
    tmp_path: Path,
    *,
    both: bool,
) -> None:
    live = gatecert.live(BOSTON)
    more = f"\nserver-cert = {live}/second-fullchain.pem\nserver-key = {live}/second-privkey.pem"
    ocserv = Ocserv(
        tmp_path / "ocserv",
        **gatecert.files(BOSTON),
        authentication=PASSWORD_ONLY + (more if both else ""),
    )
    install = {
        "reload": ocserv.reload_command,
        "verify": [ocserv.address],
        "verify_timeout": "2s",
    }
    gatecert.use(pebble, names).add_gateway(BOSTON, hostname, key=TWO, install=install).start()
    gatecert.wait_bootstrapped(BOSTON)
    servers.enter_context(ocserv)
    names.point(hostname, "127.0.0.1")
    gatecert.look_again()

    if both:
        gatecert.wait_for(lambda: gatecert.state(BOSTON) == "trusted", "trust", seconds=30)
        pair(gatecert, ocserv.address, hostname, pebble.root)
        assert "served-ok" in codes(gatecert)
        return
    gatecert.wait_logged(f"{ocserv.address} (RSA) rejects clients that accept only RSA keys")
    gatecert.wait_for(lambda: pebble.orders() == 2, "both orders", seconds=30)
    assert f"{ocserv.address} (RSA) rejects clients" in codes(gatecert)["not-served"]["seen"]
    gatecert.configuration["gateways"][BOSTON]["key"] = {"type": "ecdsa-p256"}
    gatecert.reload()
    gatecert.wait_for(lambda: gatecert.state(BOSTON) == "trusted", "trust", seconds=30)
    assert pebble.orders() == 2  # no order for a removed key
