"""A CA made with the OpenSSL command line."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from harness.process import program

if TYPE_CHECKING:
    from pathlib import Path

TIMEOUT = 30  # seconds

CONFIGURATION = """\
[ca]
default_ca = issuing

[issuing]
dir = {directory}
new_certs_dir = $dir
database = $dir/index.txt
rand_serial = yes
certificate = $dir/issuing.pem
private_key = $dir/issuing.key
crlnumber = $dir/crlnumber
default_crl_days = 1
crl_extensions = lists
default_md = sha256
policy = anything
unique_subject = no
copy_extensions = copy
x509_extensions = server

[anything]
commonName = optional
countryName = optional
stateOrProvinceName = optional
localityName = optional
organizationName = optional
organizationalUnitName = optional

[server]
basicConstraints = critical, CA:FALSE
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
{points}
[lists]
authorityKeyIdentifier = keyid
issuingDistributionPoint = critical, @part
[part]
fullname = URI:{lists_at}
onlyuser = TRUE

[req]
distinguished_name = nobody
[nobody]
"""
AUTHORITY = ("basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign")


def openssl(*arguments: str | Path, given: bytes = b"") -> bytes:
    """Run OpenSSL and return what it prints.

    Raises:
        RuntimeError: It failed; the message has its output.
    """
    finished = subprocess.run(
        [program("openssl"), *map(str, arguments)],
        input=given,
        check=False,
        capture_output=True,
        timeout=TIMEOUT,
    )
    if finished.returncode:
        raise RuntimeError(f"openssl {arguments[0]} failed: {finished.stderr.decode()}")
    return finished.stdout


class HandmadeAuthority:
    """A root, and an intermediate that signs requests with ``openssl ca``.

    Args:
        directory: For its keys, certificates and database.
        name: Prefix of their common names.
        lists_at: URL of the CRL in its certificates; none by default.

    Attributes:
        root: The self-signed root, PEM.
        issuing: The intermediate, PEM.
        chain: Both, the intermediate first.
    """

    def __init__(self, directory: Path, name: str = "Company", *, lists_at: str = "") -> None:
        directory.mkdir(parents=True)
        self._directory = directory
        self.root = directory / "root.pem"
        self.issuing = directory / "issuing.pem"
        self.chain = directory / "chain.pem"
        self._configuration = directory / "openssl.cnf"
        points = f"crlDistributionPoints = URI:{lists_at}\n" if lists_at else ""
        text = CONFIGURATION.format(
            directory=directory, points=points, lists_at=lists_at or "none:"
        )
        self._configuration.write_text(text, "utf-8")
        (directory / "index.txt").touch()
        (directory / "crlnumber").write_text("01\n", "ascii")
        self._make("root", f"{name} Root", "-x509")
        self._make(
            "issuing", f"{name} Issuing", "-x509", "-CA", self.root, "-CAkey", self.key("root")
        )
        self.chain.write_bytes(self.issuing.read_bytes() + self.root.read_bytes())

    def key(self, name: str) -> Path:
        """Return the private key of ``root`` or ``issuing``, PEM."""
        return self._directory / f"{name}.key"

    def sign(self, csr: str, name: str, *, days: int = 365) -> Path:
        """Sign a request; a description precedes the certificate, as usual with OpenSSL."""
        request, certificate = (self._directory / f"{name}.{kind}" for kind in ("csr", "pem"))
        request.write_text(csr, "ascii")
        openssl(
            *("ca", "-batch", "-config", self._configuration, "-days", str(days)),
            *("-in", request, "-out", certificate),
        )
        return certificate

    def revoke(self, certificate: Path, reason: str) -> None:
        """Revoke a certificate in the next CRL."""
        openssl(
            *("ca", "-config", self._configuration, "-revoke", certificate),
            *("-crl_reason", reason),
        )

    def revocation_list(self) -> bytes:
        """Return the current CRL (DER)."""
        pem = openssl("ca", "-config", self._configuration, "-gencrl")
        return openssl("crl", "-outform", "DER", given=pem)

    def _make(self, name: str, common_name: str, *options: str | Path) -> None:
        extensions = (part for each in AUTHORITY for part in ("-addext", each))
        openssl(
            *("req", "-config", self._configuration, "-newkey", "ec", "-noenc", "-days", "3650"),
            *("-pkeyopt", "ec_paramgen_curve:P-256", "-subj", f"/CN={common_name}"),
            *("-keyout", self.key(name), "-out", self._directory / f"{name}.pem"),
            *extensions,
            *options,
        )
