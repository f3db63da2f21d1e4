"""Users of a gateway with certificates of a client CA made with OpenSSL."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from pathlib import Path

from harness.openssl import TIMEOUT, openssl
from harness.process import program

CONFIGURATION = """\
[ca]
default_ca = users
[users]
dir = {directory}
new_certs_dir = $dir
database = $dir/index.txt
crlnumber = $dir/crlnumber
rand_serial = yes
certificate = $dir/ca.pem
private_key = $dir/ca.key
default_md = sha256
default_crl_days = 7
policy = anything
unique_subject = no
x509_extensions = user
[anything]
commonName = supplied
userId = optional
[user]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = clientAuth
[req]
distinguished_name = nobody
[nobody]
"""
KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc")


@dataclass(frozen=True, slots=True)
class UserCertificate:
    """A user's certificate and key, PEM."""

    certificate: Path
    key: Path

    @property
    def options(self) -> tuple[str, ...]:
        """The options of openconnect."""
        return f"--certificate={self.certificate}", f"--sslkey={self.key}"


class UsersAuthority:
    """A root that signs client certificates.

    Args:
        directory: For its key, certificate and database.
        name: Its common name.

    Attributes:
        root: The self-signed root, PEM.
        key: Its private key, PEM.
        subject: Its name as gatecert shows it.
    """

    def __init__(self, directory: Path, name: str) -> None:
        directory.mkdir(parents=True)
        self._directory = directory
        self.root = directory / "ca.pem"
        self.key = directory / "ca.key"
        self.subject = f"CN={name}"
        self._configuration = directory / "ca.cnf"
        self._configuration.write_text(CONFIGURATION.format(directory=directory), "utf-8")
        (directory / "index.txt").touch()
        (directory / "crlnumber").write_text("01\n")
        openssl(
            *("req", "-config", self._configuration, "-x509", *KEY, "-days", "3650"),
            *("-subj", f"/{self.subject}", "-keyout", self.key, "-out", self.root),
            *("-addext", "basicConstraints=critical,CA:TRUE"),
            *("-addext", "keyUsage=critical,keyCertSign,cRLSign"),
        )

    def issue(self, user: str, *, days: int = 30, file: str = "") -> UserCertificate:
        """Issue a certificate for a user, valid since two days ago.

        Args:
            user: The user name.
            days: Remaining validity; negative for an expired certificate.
            file: The file name, by default the user name.
        """
        made = UserCertificate(
            self._directory / f"{file or user}.pem", self._directory / f"{file or user}.key"
        )
        request = made.certificate.with_suffix(".csr")
        openssl(
            *(
                "req",
                "-config",
                self._configuration,
                *KEY,
                "-subj",
                f"/CN={user.title()}/UID={user}",
            ),
            *("-keyout", made.key, "-out", request),
        )
        now = datetime.now(UTC)
        begin, end = (
            f"{at:%Y%m%d%H%M%SZ}" for at in (now - timedelta(days=2), now + timedelta(days=days))
        )
        openssl(
            *("ca", "-batch", "-config", self._configuration, "-notext"),
            *("-startdate", begin, "-enddate", end, "-in", request, "-out", made.certificate),
        )
        return made

    def revoke(self, *users: UserCertificate, days: int = 7) -> Path:
        """Revoke certificates and return the CRL, PEM, valid for so many days from now."""
        crl = self._directory / "users.crl"
        for user in users:
            openssl("ca", "-config", self._configuration, "-revoke", user.certificate)
        now = datetime.now(UTC)
        begin, end = now - timedelta(days=2), now + timedelta(days=days)
        openssl(
            *("ca", "-config", self._configuration, "-gencrl", "-out", crl),
            *(
                "-crl_lastupdate",
                f"{begin:%Y%m%d%H%M%SZ}",
                "-crl_nextupdate",
                f"{end:%Y%m%d%H%M%SZ}",
            ),
        )
        return crl


def asked_for(address: str) -> list[str]:
    """Return the client CAs that a server asks for, as OpenSSL's client shows them."""
    finished = subprocess.run(
        [program("openssl"), "s_client", "-connect", address, "-nameopt", "RFC2253"],
        input="Q\n",
        text=True,
        check=False,  # without a certificate the client fails, which is expected
        capture_output=True,
        timeout=TIMEOUT,
    )
    _, _, rest = finished.stdout.partition("Acceptable client certificate CA names\n")
    return list(takewhile(lambda line: line.startswith("CN="), rest.splitlines()))
