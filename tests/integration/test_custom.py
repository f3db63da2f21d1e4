"""Imported certificates, signed by a CA made with OpenSSL."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import pytest
from cryptography import x509

from harness.gatecert import Gatecert
from harness.handshake import HandshakeLoop, served_certificate, trusted_certificate
from harness.nginx import Nginx
from harness.openconnect import authenticate
from harness.openssl import HandmadeAuthority, openssl

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import ExitStack
    from pathlib import Path

    from harness.gatecert import CommandResult
    from harness.ocserv import Ocserv

HQ = "hq"
BOSTON = "boston"
SHARED = "vpn.company.com"
FAILED = "Failed verifying the device certificate with the certificate chain"
MEMBERS = {
    "primary": {"common_name": "primaryvpn.company.com"},
    "spare": {"common_name": "secondaryvpn.company.com"},
}


@pytest.fixture
def authority(tmp_path: Path) -> HandmadeAuthority:
    return HandmadeAuthority(tmp_path / "authority")


def csr(gatecert: Gatecert, name: str, *options: str) -> str:
    result = gatecert.run("csr", name, *options)
    assert result.exit_code == 0, result.errors
    assert result.output.startswith("-----BEGIN CERTIFICATE REQUEST-----\n")
    return result.output


def bring(gatecert: Gatecert, name: str, certificate: Path, chain: Path) -> CommandResult:
    return gatecert.run("import", name, "--certificate", str(certificate), "--chain", str(chain))


def private_keys(gatecert: Gatecert) -> set[bytes]:
    return {path.read_bytes() for path in gatecert.state_directory.rglob("privkey.pem")}


# --------------------------------------------------------------------- complete imports


def test_from_csr_to_trusted(
    gatecert: Gatecert, gateway: Ocserv, authority: HandmadeAuthority, hostname: str
) -> None:
    gatecert.add_gateway(
        BOSTON,
        hostname,
        mode="custom",
        region="cn",
        subject={"O": "Example Company", "C": "US"},
        install={"reload": gateway.reload_command, "verify": [gateway.address]},
    )
    gatecert.write()
    # Not by the daemon: a reload would end an ocserv that is still starting.
    gatecert.run("enroll", BOSTON)
    gateway.start()
    gatecert.start()
    assert authenticate(gateway, hostname, authority.root).refusal == "signer not found"

    request = csr(gatecert, BOSTON)
    assert csr(gatecert, BOSTON) == request
    asked = x509.load_pem_x509_csr(request.encode())
    assert asked.subject.rfc4514_string() == f"CN={hostname},O=Example Company,C=US"
    result = bring(gatecert, BOSTON, authority.sign(request, "hq"), authority.chain)

    assert result.exit_code == 0, result.errors
    assert f"{BOSTON}: imported: the certificate of {hostname} is served" in result.output
    assert "does not trust the root 'CN=Company Root'" in result.output
    after = authenticate(gateway, hostname, authority.root)
    assert after.trusted, after.output
    gatecert.wait_for(lambda: gatecert.state(BOSTON) == "private-root", "the proof")
    status = gatecert.status(BOSTON)
    assert (status["mode"], status["issuer"]) == ("custom", "CN=Company Issuing")
    live = gatecert.live(BOSTON)
    assert (live / "root.pem").read_bytes().strip() == authority.root.read_bytes().strip()
    assert authority.root.read_bytes() not in (live / "fullchain.pem").read_bytes()


def test_an_imported_renewal_drops_no_connection_and_is_announced_in_time(
    servers: ExitStack, gatecert: Gatecert, authority: HandmadeAuthority, tmp_path: Path
) -> None:
    web = Nginx(tmp_path / "nginx", **gatecert.files(HQ))
    install = {"reload": web.reload_command, "verify": [web.address]}
    gatecert.add_gateway(HQ, SHARED, mode="custom", install=install).start()
    gatecert.wait_bootstrapped(HQ)
    servers.enter_context(web)
    first = authority.sign(csr(gatecert, HQ), "first", days=10)
    assert bring(gatecert, HQ, first, authority.chain).exit_code == 0

    gatecert.wait_logged("the imported certificate ends in 9 days")
    status = gatecert.status(HQ)
    assert "gatecert does not renew it" in status["warning"]
    assert status["warning_fix"].startswith(f"gatecert csr {HQ} --renew")
    assert "gatecert csr hq --renew" in gatecert.run("status", HQ).output

    renewed = csr(gatecert, HQ, "--renew")
    second = authority.sign(renewed, "second")
    loop = servers.enter_context(
        HandshakeLoop("127.0.0.1", web.port, SHARED, trusted=authority.root)
    )
    loop.wait_for_leaves(1)
    assert bring(gatecert, HQ, second, authority.chain).exit_code == 0
    loop.wait_for_leaves(2)
    assert loop.failures == []
    assert gatecert.status(HQ)["warning"] == ""
    assert gatecert.process.output.count("the imported certificate ends in") == 1


def test_a_certificate_that_the_gateway_refuses_is_rolled_back(
    servers: ExitStack, gatecert: Gatecert, authority: HandmadeAuthority, tmp_path: Path
) -> None:
    web = Nginx(tmp_path / "nginx", **gatecert.files(HQ))
    install = {"reload": web.reload_command, "verify": [web.address], "verify_timeout": "2s"}
    gatecert.add_gateway(HQ, SHARED, mode="custom", install=install).write()
    assert "nothing listens" in gatecert.run("enroll", HQ).output
    servers.enter_context(web)
    first = authority.sign(csr(gatecert, HQ), "first")
    assert bring(gatecert, HQ, first, authority.chain).exit_code == 0
    before = trusted_certificate("127.0.0.1", web.port, SHARED, authority.root)

    reload = tmp_path / "reload"
    taken = gatecert.live(HQ).readlink()
    reload.write_text(
        f'#!/bin/sh\n[ "$(readlink {gatecert.live(HQ)})" = "{taken}" ] || exit 1\n'
        f'kill -HUP "$(cat {web.pid_file})"\n'
    )
    reload.chmod(0o755)
    gatecert.configuration["gateways"][HQ]["install"]["reload"] = [str(reload)]
    gatecert.write()
    second = authority.sign(csr(gatecert, HQ), "second")
    result = bring(gatecert, HQ, second, authority.chain)

    assert result.exit_code == 1
    assert "rolled back" in result.errors
    assert served_certificate("127.0.0.1", web.port, SHARED) == before
    live = gatecert.certificate(HQ)
    assert live is not None
    assert live == x509.load_pem_x509_certificate(first.read_bytes())


# --------------------------------------------------------------------- wrong files


def _write(path: Path, contents: bytes) -> Path:
    path.write_bytes(contents)
    return path


MISTAKES: dict[str, tuple[Callable[[Path, HandmadeAuthority], bytes], str]] = {
    "DER": (
        lambda good, _: openssl("x509", "-in", good, "-outform", "DER"),
        "is a certificate in binary (DER)",
    ),
    "PKCS #7": (
        lambda good, _: openssl("crl2pkcs7", "-nocrl", "-certfile", good),
        "is PKCS #7 in PEM",
    ),
    "PKCS #7, DER": (
        lambda good, _: openssl("crl2pkcs7", "-nocrl", "-certfile", good, "-outform", "DER"),
        "is PKCS #7 in binary (DER)",
    ),
    "PKCS #7, old label": (
        lambda good, _: openssl("crl2pkcs7", "-nocrl", "-certfile", good).replace(
            b"PKCS7", b"PKCS #7 SIGNED DATA"
        ),
        "is PKCS #7 in PEM",
    ),
    "PKCS #7, wrong label": (
        lambda good, _: openssl("crl2pkcs7", "-nocrl", "-certfile", good).replace(
            b"PKCS7", b"CERTIFICATE"
        ),
        "is PKCS #7 labelled CERTIFICATE",
    ),
    "CMS": (
        lambda good, _: openssl("crl2pkcs7", "-nocrl", "-certfile", good).replace(b"PKCS7", b"CMS"),
        "is CMS in PEM",
    ),
    "PKCS #12": (
        lambda good, _: openssl(
            *("pkcs12", "-export", "-nokeys", "-in", good, "-passout", "pass:")
        ),
        "is PKCS #12 (PFX)",
    ),
    "trusted form": (
        lambda good, _: openssl("x509", "-in", good, "-trustout", "-addtrust", "serverAuth"),
        "is a certificate with a PEM label other than CERTIFICATE",
    ),
    "base64 alone": (
        lambda good, _: openssl("base64", given=openssl("x509", "-in", good, "-outform", "DER")),
        "is base64 without BEGIN and END lines",
    ),
    "UTF-16": (
        lambda good, _: good.read_text("ascii").encode("utf-16"),
        "is text in UTF-16",
    ),
    "private key inside": (
        lambda good, authority: good.read_bytes() + authority.key("issuing").read_bytes(),
        "contains a private key",
    ),
}
HOPELESS: dict[str, tuple[Callable[[Path, HandmadeAuthority], bytes], str]] = {
    "private key": (
        lambda _, authority: authority.key("root").read_bytes(),
        "contains a private key",
    ),
    "encrypted private key": (
        lambda _, authority: openssl(
            *("pkey", "-in", authority.key("root"), "-aes256", "-passout", "pass:secret")
        ),
        "contains a private key",
    ),
    "private key, DER": (
        lambda _, authority: openssl("pkey", "-in", authority.key("root"), "-outform", "DER"),
        "contains a private key",
    ),
    "CSR": (
        lambda good, _: good.with_suffix(".csr").read_bytes(),
        "is a certificate signing request (CSR)",
    ),
    "HTML": (lambda _, __: b"<!doctype html><html>Please log in</html>", "is an HTML page"),
    "empty": (lambda _, __: b"", "is empty"),
    "truncated": (lambda good, _: good.read_bytes()[:-60], "is truncated"),
    "root alone": (lambda _, authority: authority.root.read_bytes(), "belongs to no key"),
    "foreign": (
        lambda _, authority: openssl(
            *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc"),
            *("-keyout", "/dev/null", "-subj", f"/CN={SHARED}", "-CA", authority.issuing),
            *("-CAkey", authority.key("issuing"), "-addext", f"subjectAltName=DNS:{SHARED}"),
        ),
        "belongs to no key of gateway hq; pending CSRs: made 20",
    ),
    "names left out": (
        lambda good, authority: openssl(
            *("x509", "-req", "-in", good.with_suffix(".csr"), "-CA", authority.issuing),
            *("-CAkey", authority.key("issuing"), "-days", "9"),
        ),
        "the names of the CSR were left out",
    ),
    "ended": (
        lambda good, authority: openssl(
            *("x509", "-req", "-in", good.with_suffix(".csr"), "-CA", authority.issuing),
            *("-CAkey", authority.key("issuing"), "-days", "-1", "-copy_extensions", "copy"),
        ),
        "expired on",
    ),
    "SHA-1": (
        lambda good, authority: openssl(
            *("x509", "-req", "-in", good.with_suffix(".csr"), "-CA", authority.issuing, "-sha1"),
            *("-CAkey", authority.key("issuing"), "-days", "9", "-copy_extensions", "copy"),
        ),
        "is signed with MD5 or SHA-1",
    ),
}


@pytest.fixture
def pending(gatecert: Gatecert, authority: HandmadeAuthority) -> Path:
    """Return a good certificate for a pending request, on a gateway that serves another one."""
    gatecert.add_gateway(HQ, SHARED, mode="custom").write()
    first = authority.sign(csr(gatecert, HQ), "first")
    assert bring(gatecert, HQ, first, authority.chain).exit_code == 0
    return authority.sign(csr(gatecert, HQ), "good")


def snapshot(gatecert: Gatecert) -> dict[Path, bytes | None]:
    return {
        path: path.read_bytes() if path.is_file() else None
        for path in gatecert.state_directory.rglob("*")
        if "lock" not in path.name
    }


def refused(gatecert: Gatecert, certificate: Path, chain: Path, what: str) -> str:
    """Return the line that refuses an import, and check that nothing has changed."""
    before = snapshot(gatecert)
    result = bring(gatecert, HQ, certificate, chain)
    assert (result.exit_code, result.output) == (1, "")
    assert what in result.errors
    assert result.errors.count("\n") == 1
    assert "Traceback" not in result.errors
    assert snapshot(gatecert) == before
    return result.errors


def test_every_mistake_is_named_and_its_fix_works(
    gatecert: Gatecert, authority: HandmadeAuthority, pending: Path, tmp_path: Path
) -> None:
    for number, (make, what) in enumerate(MISTAKES.values()):
        wrong = _write(tmp_path / f"handed in {number}", make(pending, authority))
        errors = refused(gatecert, wrong, authority.chain, what)
        command = re.search(r"(?:openssl|iconv|sed|base64) [^;()]*(?:\bNEW.pem)", errors)
        assert command is not None
        subprocess.run(
            ["/bin/sh", "-eu", "-c", command[0].replace("pkcs12", "pkcs12 -passin pass:")],
            cwd=tmp_path,
            check=True,
            capture_output=True,
            timeout=20,
        )
        result = gatecert.run(
            *("import", HQ, "--certificate", str(tmp_path / "NEW.pem")),
            *("--chain", str(authority.root)),
        )
        # The only error is the missing intermediate.
        assert f"{FAILED}: the certificate of 'CN=Company Issuing'" in result.errors
    assert bring(gatecert, HQ, tmp_path / "NEW.pem", authority.chain).exit_code == 0


def test_unusable_certificates_are_refused_with_the_reason(
    gatecert: Gatecert, authority: HandmadeAuthority, pending: Path, tmp_path: Path
) -> None:
    for number, (make, what) in enumerate(HOPELESS.values()):
        wrong = _write(tmp_path / f"hopeless {number}", make(pending, authority))
        refused(gatecert, wrong, authority.chain, what)
    refused(gatecert, pending, authority.key("root"), "the chain file")
    secret = authority.key("root").read_text("ascii").splitlines()[1]
    kept = b"".join(contents or b"" for contents in snapshot(gatecert).values())
    assert secret.encode() not in kept


def test_a_chain_must_reach_its_root(
    gatecert: Gatecert, authority: HandmadeAuthority, pending: Path, tmp_path: Path
) -> None:
    key_identifier = x509.load_pem_x509_certificate(authority.root.read_bytes())
    digest = key_identifier.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    errors = refused(gatecert, pending, authority.issuing, f"{FAILED}: the certificate of 'CN=Comp")
    assert f"key identifier {digest.digest.hex(':').upper()}" in errors
    refused(gatecert, pending, authority.root, "'CN=Company Issuing'")
    namesake = HandmadeAuthority(tmp_path / "namesake")
    errors = refused(gatecert, pending, namesake.chain, FAILED)
    assert "has another key" in errors
    # Reversed, duplicated and with unrelated certificates in between, it is accepted.
    stranger = HandmadeAuthority(tmp_path / "stranger", "Stranger")
    mixed = _write(
        tmp_path / "mixed.pem",
        b"".join(
            path.read_bytes()
            for path in (authority.root, stranger.chain, authority.chain, authority.root)
        ),
    )
    result = bring(gatecert, HQ, pending, mixed)
    assert result.exit_code == 0, result.errors
    assert "not served" in result.output
    assert "imported before" in bring(gatecert, HQ, pending, mixed).output


def test_wrong_usage_and_wrong_certificates_have_different_exit_codes(
    gatecert: Gatecert, tmp_path: Path
) -> None:
    gatecert.add_gateway(HQ, SHARED, mode="custom").write()
    missing = str(tmp_path / "missing.pem")
    for arguments in (
        ("import", HQ, "--certificate", missing),
        ("import", HQ),
        ("import", "other", "--certificate", str(gatecert.configuration_file)),
        ("import", HQ, "--certificate", "-", "--chain", "-"),
        ("csr", HQ, "--member", "spare"),
        ("csr",),
    ):
        result = gatecert.run(*arguments)
        assert (result.exit_code, result.output) == (2, ""), arguments
        assert result.errors.count("\n") == 1


# --------------------------------------------------------------------- pairs


def test_a_pair_serves_its_shared_name_from_both_hosts(
    servers: ExitStack, authority: HandmadeAuthority, tmp_path: Path
) -> None:
    hosts: dict[str, Gatecert] = {}
    signed: dict[str, Path] = {}
    webs: dict[str, Nginx] = {}
    for member, names in MEMBERS.items():
        host = hosts[member] = Gatecert(tmp_path / member)
        servers.push(host.__exit__)
        web = webs[member] = Nginx(tmp_path / f"nginx-{member}", **host.files(HQ))
        install = {"reload": web.reload_command, "verify": [web.address]}
        host.add_gateway(
            HQ, SHARED, mode="custom", members=MEMBERS, member=member, install=install
        ).start()
        host.wait_bootstrapped(HQ)
        servers.enter_context(web)
        asked = csr(host, HQ)
        found = x509.load_pem_x509_csr(asked.encode())
        assert found.subject.rfc4514_string() == f"CN={names['common_name']}"
        signed[member] = authority.sign(asked, member)

    mistaken = bring(hosts["primary"], HQ, signed["spare"], authority.chain)
    assert mistaken.exit_code == 1
    assert "belongs to member spare (secondaryvpn.company.com)" in mistaken.errors
    assert "this host is member primary" in mistaken.errors
    assert hosts["primary"].run("csr", HQ, "--member", "spare").exit_code == 2

    for member, host in hosts.items():
        result = bring(host, HQ, signed[member], authority.chain)
        assert result.exit_code == 0, result.errors
        for name in (SHARED, MEMBERS[member]["common_name"]):
            assert trusted_certificate("127.0.0.1", webs[member].port, name, authority.root)
    assert private_keys(hosts["primary"]).isdisjoint(private_keys(hosts["spare"]))


def test_one_configuration_serves_both_hosts_of_a_pair(
    authority: HandmadeAuthority, tmp_path: Path
) -> None:
    signed = {}
    for member in MEMBERS:
        host = Gatecert(tmp_path / member).add_gateway(HQ, SHARED, mode="custom", members=MEMBERS)
        host.write()
        unsaid = host.run("csr", HQ)
        assert unsaid.exit_code == 2
        assert "--member primary or --member spare" in unsaid.errors
        signed[member] = host, authority.sign(csr(host, HQ, "--member", member), member)
    primary, spare = signed.values()
    assert "belongs to member spare" in bring(primary[0], HQ, spare[1], authority.chain).errors
    for host, certificate in signed.values():
        assert bring(host, HQ, certificate, authority.chain).exit_code == 0
    names = primary[0].status(HQ)["names"]
    assert sorted(names) == ["primaryvpn.company.com", SHARED]


def test_check_says_how_each_host_of_an_automatic_pair_can_enrol(gatecert: Gatecert) -> None:
    gatecert.configuration["authorities"]["a"] = {
        "directory_url": "https://authority.example/directory",
        "terms_of_service_agreed": True,
    }
    gatecert.add_gateway(HQ, SHARED, members=MEMBERS).write()
    result = gatecert.run("check")
    assert result.exit_code == 0, result.errors
    assert "primary and spare share vpn.company.com at a virtual IP" in result.output
    assert "set challenge: dns-01, which works on every host" in result.output
