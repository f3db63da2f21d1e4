"""Copies for servers, as other programs read them."""

from __future__ import annotations

import grp
import os
import pwd
import threading
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from harness.openssl import openssl

if TYPE_CHECKING:
    from pathlib import Path

    from harness.challenge_test_server import ChallengeTestServer
    from harness.gatecert import Gatecert
    from harness.pebble import Pebble

BOSTON = "boston"
KINDS = {
    "privkey": "key.pem",
    "cert": "cert.pem",
    "chain": "chain.pem",
    "fullchain": "fullchain.pem",
    "combined": "combined.pem",
    "privkey-der": "key.der",
    "cert-der": "cert.der",
    "pkcs12": "boston.p12",
}
# Only root can change the owner of files.
ROOT = os.geteuid() == 0
OWNER = "daemon" if ROOT else pwd.getpwuid(os.geteuid()).pw_name
GROUP = "daemon" if ROOT else grp.getgrgid(os.getegid()).gr_name


def copies(directory: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {
            "path": str(directory / name),
            "contents": kind,
            "owner": OWNER,
            "group": GROUP,
            "mode": "0640",
        }
        for kind, name in KINDS.items()
    ]
    found[-1]["password_file"] = str(directory / "password")
    return found


def public_key(certificate: x509.Certificate) -> bytes:
    return certificate.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def in_pkcs12(directory: Path, *what: str) -> bytes:
    """Return a part of the PKCS #12 file as openssl reads it."""
    password = f"file:{directory / 'password'}"
    source = ("-in", directory / "boston.p12", "-passin", password)
    return openssl("pkcs12", *source, "-nodes", *what)


def check(directory: Path, live: x509.Certificate | None) -> None:
    """Check the content of every copy with the programs that read it."""
    assert live is not None
    pem = live.public_bytes(Encoding.PEM)
    chain = (directory / "chain.pem").read_bytes()
    key = (directory / "key.pem").read_bytes()
    assert (directory / "cert.pem").read_bytes() == pem
    assert (directory / "fullchain.pem").read_bytes() == pem + chain
    assert (directory / "combined.pem").read_bytes() == pem + chain + key
    assert openssl("x509", "-inform", "DER", "-in", directory / "cert.der") == pem
    for source in (
        ("pkey", "-in", directory / "key.pem"),
        ("pkey", "-inform", "DER", "-in", directory / "key.der"),
        ("pkey", "-in", directory / "combined.pem"),
    ):
        assert openssl(*source, "-pubout") == public_key(live)
    assert openssl("pkey", "-pubout", given=in_pkcs12(directory, "-nocerts")) == public_key(live)
    assert x509.load_pem_x509_certificate(in_pkcs12(directory, "-nokeys", "-clcerts")) == live
    authorities = x509.load_pem_x509_certificates(in_pkcs12(directory, "-nokeys", "-cacerts"))
    assert authorities == x509.load_pem_x509_certificates(chain)
    for name in KINDS.values():
        path = directory / name
        assert (path.owner(), path.group(), path.stat().st_mode & 0o777) == (OWNER, GROUP, 0o640)


class Reader(threading.Thread):
    """A server that reads key and certificate from one file repeatedly."""

    def __init__(self, path: Path) -> None:
        super().__init__(daemon=True)
        self.path = path
        self.ended = threading.Event()
        self.seen: set[bytes] = set()

    def run(self) -> None:
        while not self.ended.wait(0.001):
            self.seen.add(self.path.read_bytes())


def test_other_programs_read_every_format(
    gatecert: Gatecert, pebble: Pebble, names: ChallengeTestServer, hostname: str, tmp_path: Path
) -> None:
    (tmp_path / "password").touch(0o600)
    (tmp_path / "password").write_text("correct horse\n", "utf-8")
    gatecert.use(pebble, names)
    gatecert.add_gateway(BOSTON, hostname, install={"copy_to": copies(tmp_path)}).write()
    names.point(hostname, "127.0.0.1")
    assert gatecert.run("enroll").exit_code == 0
    first = gatecert.certificate(BOSTON)
    check(tmp_path, first)

    before = (tmp_path / "combined.pem").read_bytes()
    reader = Reader(tmp_path / "combined.pem")
    reader.start()
    assert gatecert.run("enroll", "--force").exit_code == 0
    reader.ended.set()
    reader.join(5.0)
    assert gatecert.certificate(BOSTON) != first
    check(tmp_path, gatecert.certificate(BOSTON))
    assert reader.seen <= {before, (tmp_path / "combined.pem").read_bytes()}
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
