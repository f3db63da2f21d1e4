"""Directories of other ACME clients as these write them, with certificates of a test CA."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import serialization
from josepy.jwk import JWKRSA
from tests.fakes.keys import rsa_key
from tests.fakes.pki import Issued, Options, Pki

from gatecert.adoption.found import FoundCertificate

if TYPE_CHECKING:
    from typing import Unpack

LETS_ENCRYPT = "https://acme-v02.api.letsencrypt.org/directory"
ACCOUNT_URL = "https://acme-v02.api.letsencrypt.org/acme/acct/4711"
SHOP = "shop.example.com"
FOUND = Path("/other/client")


@dataclass
class Office:
    """A CA that issues what the clients of a test have."""

    pki: Pki = field(default_factory=Pki)

    def __post_init__(self) -> None:
        self.root = self.pki.root()
        self.intermediate = self.pki.authority("Intermediate", self.root)

    def issue(self, *subject_names: str, **options: Unpack[Options]) -> Issued:
        settings = options.copy()
        settings["names"] = subject_names
        name = subject_names[0] if subject_names else "nobody"
        return self.pki.issue(name, self.intermediate, **settings)

    def fullchain(self, leaf: Issued) -> bytes:
        return leaf.pem + self.intermediate.pem

    def found(self, *subject_names: str, **options: Unpack[Options]) -> FoundCertificate:
        """Return a certificate as a reader returns it."""
        leaf = self.issue(*subject_names, **options)
        return FoundCertificate(
            name=subject_names[0] if subject_names else "nobody",
            path=FOUND,
            private_key=leaf.key_pem,
            fullchain=self.fullchain(leaf),
            directory_url=LETS_ENCRYPT,
            account="4711",
        )


def write(path: Path, data: bytes | str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data if isinstance(data, bytes) else data.encode())


def traditional(key: Issued) -> bytes:
    """Return a key in the format of OpenSSL before PKCS #8, as acme.sh and lego write it."""
    return key.private_key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )


# --------------------------------------------------------------------------- certbot


def certbot_lineage(
    directory: Path, name: str, leaf: Issued, fullchain: bytes, *, settings: str
) -> None:
    """Write a lineage; ``settings`` is what follows ``[renewalparams]``."""
    files = {
        "privkey": leaf.key_pem,
        "cert": leaf.pem,
        "chain": fullchain.removeprefix(leaf.pem),
        "fullchain": fullchain,
    }
    lines = ["version = 5.8.0", f"archive_dir = {directory}/archive/{name}"]
    for kind, data in files.items():
        write(directory / "archive" / name / f"{kind}1.pem", data)
        link = directory / "live" / name / f"{kind}.pem"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(f"../../archive/{name}/{kind}1.pem")
        lines.append(f"{kind} = {link}")
    text = "\n".join([*lines, "[renewalparams]", settings])
    write(directory / "renewal" / f"{name}.conf", text + "\n")


def certbot_account(directory: Path, name: str = "4711", url: str = ACCOUNT_URL) -> Path:
    """Write an account; its key is RSA, as certbot makes it."""
    folder = directory / "accounts" / "acme-v02.api.letsencrypt.org" / "directory" / name
    key = JWKRSA(key=rsa_key(2048, f"certbot {name}"))
    write(folder / "private_key.json", key.json_dumps())
    write(folder / "regr.json", json.dumps({"body": {}, "uri": url}))
    write(folder / "meta.json", '{"creation_dt": "2026-01-01T00:00:00Z", "creation_host": "vm"}')
    return folder


# --------------------------------------------------------------------------- acme.sh


def acme_sh_certificate(
    directory: Path, name: str, leaf: Issued, fullchain: bytes, *, settings: str, ecc: bool = True
) -> None:
    """Write a certificate; ``settings`` are further lines of its file."""
    folder = directory / (f"{name}_ecc" if ecc else name)
    write(folder / f"{name}.key", traditional(leaf))
    write(folder / f"{name}.cer", leaf.pem)
    write(folder / "ca.cer", b"\n" + fullchain.removeprefix(leaf.pem))
    write(folder / "fullchain.cer", leaf.pem + b"\n" + fullchain.removeprefix(leaf.pem))
    text = f"Le_Domain='{name}'\nLe_Alt='no'\nLe_API='{LETS_ENCRYPT}'\n{settings}\n"
    write(folder / f"{name}.conf", text)


def acme_sh_account(directory: Path, key: Issued, more: str = "") -> None:
    folder = directory / "ca" / "acme-v02.api.letsencrypt.org" / "directory"
    write(folder / "account.key", traditional(key))
    write(folder / "ca.conf", f"CA_EMAIL='ops@example.org'\nACCOUNT_URL='{ACCOUNT_URL}'\n{more}\n")


def encoded(command: str) -> str:
    """Return a command as acme.sh saves it."""
    text = base64.b64encode(command.encode()).decode()
    return f"__ACME_BASE64__START_{text}__ACME_BASE64__END_"


# --------------------------------------------------------------------------- lego and Caddy


def lego_certificate(directory: Path, name: str, leaf: Issued, fullchain: bytes) -> None:
    folder = directory / "certificates"
    write(folder / f"{name}.crt", fullchain)
    write(folder / f"{name}.issuer.crt", fullchain.removeprefix(leaf.pem))
    write(folder / f"{name}.key", traditional(leaf))
    record = {"domain": name, "certUrl": "https://acme-v02.api.letsencrypt.org/acme/cert/1"}
    write(folder / f"{name}.json", json.dumps(record))


def lego_account(directory: Path, key: Issued, *, layout: int = 4) -> None:
    """Write an account as lego 4 or lego 5 does."""
    folder = directory / "accounts" / "acme-v02.api.letsencrypt.org" / "ops@example.org"
    record = {
        "email": "ops@example.org",
        "registration": {
            "body": {"status": "valid", "contact": ["mailto:ops@example.org"]},
            "uri": ACCOUNT_URL,
        },
    }
    if layout == 4:
        write(folder / "account.json", json.dumps(record))
        write(folder / "keys" / "ops@example.org.key", traditional(key))
        return
    write(folder / "EC256" / "account.json", json.dumps({"id": "ops@example.org", **record}))
    write(folder / "EC256" / "ops@example.org.key", traditional(key))


def caddy_certificate(directory: Path, name: str, leaf: Issued, fullchain: bytes) -> None:
    folder = directory / "certificates" / "acme-v02.api.letsencrypt.org-directory" / name
    write(folder / f"{name}.crt", fullchain)
    write(folder / f"{name}.key", traditional(leaf))
    data = {"ca": LETS_ENCRYPT, "account": ACCOUNT_URL}
    write(folder / f"{name}.json", json.dumps({"sans": [name], "issuer_data": data}))


def caddy_account(directory: Path, key: Issued) -> None:
    folder = directory / "acme" / "acme-v02.api.letsencrypt.org-directory" / "users"
    record = {"status": "valid", "contact": ["mailto:ops@example.org"], "location": ACCOUNT_URL}
    write(folder / "ops@example.org" / "ops.json", json.dumps(record))
    write(folder / "ops@example.org" / "ops.key", traditional(key))
