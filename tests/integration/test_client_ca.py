"""Client certificates with real ocserv, nginx and openconnect, and client CAs made with OpenSSL."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.gatecert import Gatecert
from harness.nginx import Nginx
from harness.ocserv import Ocserv
from harness.openconnect import authenticate
from harness.openssl import openssl
from harness.user_certificates import UsersAuthority, asked_for

if TYPE_CHECKING:
    from contextlib import ExitStack

    from harness.gatecert import CommandResult
    from harness.openconnect import Authentication
    from harness.user_certificates import UserCertificate

BOSTON = "boston"
ALICE = "alice"  # the harness's user
PAGE = Path(__file__).resolve().parents[2] / "docs" / "client-certificates.md"
IN_THE_PAGE = "/var/lib/gatecert/gateways/boston/client-ca/bundle.pem"
PLACEHOLDER = "CN=no authority of user certificates yet,O=gatecert placeholder"


def recipe(bundle: Path) -> str:
    """Return the page's lines for ocserv."""
    lines = re.findall(r"```ocserv\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)[0]
    assert IN_THE_PAGE in lines
    return str(lines).replace(IN_THE_PAGE, str(bundle))


@dataclass(frozen=True)
class Vpn:
    """A gateway that requires a certificate and a password, with gatecert."""

    gatecert: Gatecert
    ocserv: Ocserv
    hostname: str
    directory: Path

    @property
    def bundle(self) -> Path:
        return bundle(self.gatecert)

    def client_ca(self, *arguments: str | Path) -> CommandResult:
        return self.gatecert.run("client-ca", *map(str, arguments))

    def authority(self, name: str) -> UsersAuthority:
        return UsersAuthority(self.directory / name, name)

    def log_in(self, user: UserCertificate | None) -> Authentication:
        root = self.gatecert.live(BOSTON) / "cert.pem"  # the bootstrap certificate is self-signed
        options = user.options if user is not None else ()
        return authenticate(self.ocserv, self.hostname, root, *options)


def bundle(gatecert: Gatecert) -> Path:
    return gatecert.live(BOSTON).parent / "client-ca" / "bundle.pem"


def start(
    servers: ExitStack,
    gatecert: Gatecert,
    hostname: str,
    directory: Path,
    more: str = "",
) -> Vpn:
    """Start the daemon first: the server does not start without a bundle."""
    ocserv = Ocserv(
        directory / "ocserv",
        **gatecert.files(BOSTON),
        authentication=recipe(bundle(gatecert)) + more,
    )
    servers.push(ocserv.__exit__)
    gatecert.add_gateway(
        BOSTON,
        hostname,
        mode="custom",
        install={"reload": ocserv.reload_command, "verify": [ocserv.address]},
        client_authentication={},
    )
    gatecert.start()
    gatecert.wait_for(bundle(gatecert).exists, "a bundle")
    ocserv.start()
    return Vpn(gatecert, ocserv, hostname, directory)


@pytest.fixture
def vpn(servers: ExitStack, gatecert: Gatecert, hostname: str, tmp_path: Path) -> Vpn:
    return start(servers, gatecert, hostname, tmp_path)


# --------------------------------------------------------------------- log-ins


def test_certificate_and_password_are_both_required(
    vpn: Vpn,
) -> None:
    ours, theirs = vpn.authority("ours"), vpn.authority("theirs")
    alice = ours.issue(ALICE)
    assert asked_for(vpn.ocserv.address) == [PLACEHOLDER]
    assert not vpn.log_in(alice).asked_for_password

    added = vpn.client_ca("add", BOSTON, ours.root)

    assert added.exit_code == 0, added.errors
    assert asked_for(vpn.ocserv.address) == ["CN=ours"]
    welcome = vpn.log_in(alice)
    assert welcome.trusted, welcome.output
    assert welcome.asked_for_password
    refused = {
        "none": None,
        "of another authority": theirs.issue(ALICE),
        "ended": ours.issue(ALICE, days=-1, file="ended"),
    }
    for what, certificate in refused.items():
        refusal = vpn.log_in(certificate)
        assert not refusal.trusted, what
        assert not refusal.asked_for_password, f"{what}: {refusal.output}"
    other = vpn.log_in(ours.issue("bob"))  # with Alice's password
    assert other.asked_for_password
    assert not other.trusted


def test_with_cisco_client_compat_no_password_is_asked_for_without_a_certificate(
    servers: ExitStack, gatecert: Gatecert, hostname: str, tmp_path: Path
) -> None:
    vpn = start(servers, gatecert, hostname, tmp_path, "\ncisco-client-compat = true")
    ours = vpn.authority("ours")
    assert vpn.client_ca("add", BOSTON, ours.root).exit_code == 0

    assert vpn.log_in(ours.issue(ALICE)).trusted
    for certificate in (None, vpn.authority("theirs").issue(ALICE)):
        refusal = vpn.log_in(certificate)
        assert not refusal.trusted
        assert not refusal.asked_for_password


# --------------------------------------------------------------------- changes


def test_client_cas_are_added_and_removed_beside_the_daemon(vpn: Vpn) -> None:
    one, two = vpn.authority("one"), vpn.authority("two")
    both = vpn.directory / "both.pem"
    both.write_bytes(b"two authorities\n" + one.root.read_bytes() + two.root.read_bytes())

    added = vpn.client_ca("add", BOSTON, both)

    assert added.exit_code == 0, added.errors
    assert "every listener requests certificates of exactly these" in added.output
    assert set(asked_for(vpn.ocserv.address)) == {"CN=one", "CN=two"}
    listed = vpn.client_ca("list", BOSTON, "--json").json()
    assert [each["subject"] for each in listed["authorities"]] == ["CN=one", "CN=two"]
    assert listed["asked"] is True
    assert "CN=two" in vpn.client_ca("list", BOSTON).output
    again = vpn.client_ca("add", BOSTON, one.root)
    assert again.exit_code == 1
    assert "is already a client CA" in again.errors

    fingerprint = openssl("x509", "-in", one.root, "-noout", "-fingerprint", "-sha256").decode()
    removed = vpn.client_ca("remove", BOSTON, fingerprint)
    assert removed.exit_code == 0, removed.errors
    assert asked_for(vpn.ocserv.address) == ["CN=two"]
    assert vpn.client_ca("remove", BOSTON, "CN=one").exit_code == 2
    assert vpn.client_ca("remove", BOSTON, "CN=two").exit_code == 0
    assert asked_for(vpn.ocserv.address) == [PLACEHOLDER]
    status = vpn.gatecert.status(BOSTON)["client_authentication"]
    assert status["authorities"] == []
    assert status["asked"] is True
    assert vpn.gatecert.process.alive
    assert "none: no client is accepted" in vpn.gatecert.run("status", BOSTON).output


def test_a_file_without_a_client_ca_changes_nothing(vpn: Vpn) -> None:
    ours = vpn.authority("ours")
    assert vpn.client_ca("add", BOSTON, ours.root).exit_code == 0
    before = vpn.bundle.read_bytes()
    new = vpn.authority("new")
    files: dict[str, bytes] = {
        "contains a private key": new.root.read_bytes() + new.key.read_bytes(),
        "a certificate in binary (DER)": openssl("x509", "-in", new.root, "-outform", "DER"),
        "not a CA certificate": new.issue(ALICE).certificate.read_bytes(),
        "twice": 2 * new.root.read_bytes(),
        "empty": b"",
        "page": b"<!doctype html><html>Please log in</html>",
        "truncated": new.root.read_bytes()[:-30],
    }

    for number, (words, contents) in enumerate(files.items()):
        file = vpn.directory / f"{number}.pem"
        file.write_bytes(contents)
        result = vpn.client_ca("add", BOSTON, file)
        assert result.exit_code == 1, words
        assert words in result.errors, result.errors
        assert "PRIVATE KEY" not in result.errors

    assert vpn.client_ca("add", BOSTON, vpn.directory / "nowhere.pem").exit_code == 2
    assert vpn.client_ca("add", "bostn", ours.root).exit_code == 2
    assert vpn.bundle.read_bytes() == before
    kept = [path.read_bytes() for path in vpn.bundle.parent.iterdir()]
    assert not any(b"PRIVATE KEY" in each for each in kept)


def test_a_server_that_does_not_reload_causes_a_roll_back(
    servers: ExitStack, gatecert: Gatecert, hostname: str, tmp_path: Path
) -> None:
    nginx = Nginx(
        tmp_path / "nginx",
        **gatecert.files(BOSTON),
        more=f"ssl_verify_client on; ssl_client_certificate {bundle(gatecert)};",
    )
    one, two = (UsersAuthority(tmp_path / name, name) for name in ("one", "two"))
    gatecert.add_gateway(
        BOSTON,
        hostname,
        mode="custom",
        install={
            "reload": nginx.reload_command,
            "verify": [nginx.address],
            "verify_timeout": "300ms",
        },
        client_authentication={},
    ).write()
    gatecert.run("enroll")
    waiting = gatecert.run("client-ca", "add", BOSTON, str(one.root))
    assert waiting.exit_code == 1
    assert "nothing listens" in waiting.errors
    servers.enter_context(nginx)
    assert gatecert.status(BOSTON)["client_authentication"]["asked"] is False
    gatecert.run("client-ca", "remove", BOSTON, "one")
    assert gatecert.run("client-ca", "add", BOSTON, str(one.root)).exit_code == 0
    before = bundle(gatecert).read_bytes()

    for broken, code in (("/bin/true", "not-served"), ("/bin/false", "reload-failed")):
        gatecert.configuration["gateways"][BOSTON]["install"]["reload"] = [broken]
        gatecert.write()
        result = gatecert.run("client-ca", "add", BOSTON, str(two.root))
        assert result.exit_code == 1, result.output
        assert "rolled-back" in result.errors
        assert gatecert.status(BOSTON)["last_error"]["code"] == code
        assert bundle(gatecert).read_bytes() == before
        assert asked_for(nginx.address) == ["CN=one"]

    gatecert.configuration["gateways"][BOSTON]["install"]["reload"] = nginx.reload_command
    gatecert.write()
    assert gatecert.run("client-ca", "add", BOSTON, str(two.root)).exit_code == 0
    assert set(asked_for(nginx.address)) == {"CN=one", "CN=two"}


def test_a_server_that_asks_for_other_client_cas_is_detected_and_reloaded(
    servers: ExitStack, gatecert: Gatecert, hostname: str, tmp_path: Path
) -> None:
    # nginx reads the bundle only on a reload; ocserv reads it for each connection.
    nginx = Nginx(
        tmp_path / "nginx",
        **gatecert.files(BOSTON),
        more=f"ssl_verify_client on; ssl_client_certificate {bundle(gatecert)};",
    )
    ours, theirs = (UsersAuthority(tmp_path / name, name) for name in ("ours", "theirs"))
    gatecert.add_gateway(
        BOSTON,
        hostname,
        mode="custom",
        install={"reload": nginx.reload_command, "verify": [nginx.address], "watch": "500ms"},
        client_authentication={},
    ).start()
    gatecert.wait_for(bundle(gatecert).exists, "a bundle")
    servers.enter_context(nginx)
    assert gatecert.run("client-ca", "add", BOSTON, str(ours.root)).exit_code == 0
    before = bundle(gatecert).read_bytes()

    bundle(gatecert).write_bytes(theirs.root.read_bytes())
    nginx.reload()
    gatecert.wait_for(lambda: asked_for(nginx.address) == ["CN=theirs"], "another authority")
    bundle(gatecert).write_bytes(before)  # and the server is not reloaded

    gatecert.wait_logged("and requests those of 'CN=theirs'")
    gatecert.wait_for(lambda: asked_for(nginx.address) == ["CN=ours"], "ours again")
    gatecert.wait_for(
        lambda: gatecert.status(BOSTON)["client_authentication"]["asked"] is True, "the proof"
    )
    codes = {each["code"] for each in gatecert.run("doctor", BOSTON, "--json").json()["findings"]}
    assert {"client-ca-ok", "client-ca-asked"} <= codes


def test_a_server_that_requires_no_certificates_is_reported(
    gatecert: Gatecert, gateway: Ocserv, hostname: str, tmp_path: Path
) -> None:
    gatecert.add_gateway(
        BOSTON,
        hostname,
        mode="custom",
        install={
            "reload": gateway.reload_command,
            "verify": [gateway.address],
            "verify_timeout": "300ms",
        },
    ).start()
    gatecert.wait_bootstrapped(BOSTON)
    gateway.start()

    result = gatecert.run("client-ca", "add", BOSTON, str(UsersAuthority(tmp_path / "a", "a").root))

    assert result.exit_code == 1
    assert "requests no client certificate in its TLS handshake" in result.errors
    assert "ca-cert of ocserv" in result.errors
    assert "as before" in result.errors
    gatecert.configuration["gateways"][BOSTON]["client_authentication"] = {}
    found = gatecert.write().run("doctor", BOSTON, "--json").json()["findings"]
    (asked,) = [each for each in found if each["code"] == "client-ca-not-asked"]
    assert "requests no client certificate" in asked["seen"]


# --------------------------------------------------------------------- client-ca check


def test_a_revoked_user_is_refused_by_the_check_and_by_the_server(
    servers: ExitStack, gatecert: Gatecert, hostname: str, tmp_path: Path
) -> None:
    ours = UsersAuthority(tmp_path / "ours", "ours")
    alice, lost = ours.issue(ALICE), ours.issue(ALICE, file="lost")
    crl = ours.revoke(lost)
    vpn = start(servers, gatecert, hostname, tmp_path, f"\ncrl = {crl}")
    assert vpn.client_ca("add", BOSTON, ours.root).exit_code == 0
    gatecert.configuration["gateways"][BOSTON]["client_authentication"] = {
        "crl_files": [str(crl)],
        "known_users": str(tmp_path / "ours"),
    }
    gatecert.reload()

    accepted = vpn.client_ca("check", BOSTON, alice.certificate)
    refused = vpn.client_ca("check", BOSTON, lost.certificate, "--json")

    assert (accepted.exit_code, accepted.errors) == (0, "")
    assert "accepted" in accepted.output
    assert vpn.log_in(alice).trusted
    assert refused.exit_code == 1
    (reason,) = refused.json()["reasons"]
    assert "was revoked on" in reason
    assert not vpn.log_in(lost).asked_for_password

    ended = ours.revoke(days=-1)
    assert crl == ended
    warnings = vpn.gatecert.status(BOSTON)["client_authentication"]["warnings"]
    assert "the CRL of 'CN=ours' expired on" in " ".join(warnings)
    found = vpn.gatecert.run("doctor", BOSTON, "--json").json()["findings"]
    assert "client-crl-ended" in {each["code"] for each in found}
    vpn.gatecert.look_again()  # otherwise it would be checked within the hour
    vpn.gatecert.wait_logged("the CRL of 'CN=ours' expired on")


def test_known_users_are_not_locked_out_by_accident(vpn: Vpn) -> None:
    ours = vpn.authority("ours")
    known = vpn.directory / "known"
    known.mkdir()
    (known / "alice.pem").write_bytes(ours.issue(ALICE).certificate.read_bytes())
    vpn.gatecert.configuration["gateways"][BOSTON]["client_authentication"] = {
        "known_users": str(known)
    }
    vpn.gatecert.reload()
    assert vpn.client_ca("add", BOSTON, ours.root).exit_code == 0

    refused = vpn.client_ca("remove", BOSTON, ours.subject)
    assert refused.exit_code == 1
    assert "removing 'CN=ours' locks out 1 known client certificate (alice.pem)" in refused.errors
    assert asked_for(vpn.ocserv.address) == ["CN=ours"]

    forced = vpn.client_ca("remove", BOSTON, ours.subject, "--force")
    assert forced.exit_code == 0, forced.errors
    assert "locked out: 1 known client certificate (alice.pem)" in forced.output


@pytest.mark.parametrize("days", [0, 20])
def test_warning_before_a_client_ca_expires(vpn: Vpn, days: int) -> None:
    short = vpn.directory / "short.pem"
    openssl(
        *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc"),
        *("-days", str(days + 1), "-subj", "/CN=short", "-keyout", "/dev/null", "-out", short),
    )

    added = vpn.client_ca("add", BOSTON, short)

    assert added.exit_code == 0, added.errors
    assert "has no key usage" in added.output
    vpn.gatecert.wait_logged("client CA 'CN=short' expires in")
    (warning,) = vpn.gatecert.status(BOSTON)["client_authentication"]["warnings"]
    assert "gatecert client-ca add boston FILE" in warning
