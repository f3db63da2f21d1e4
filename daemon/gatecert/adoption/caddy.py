"""Caddy's data directory, usually /var/lib/caddy/.local/share/caddy: reading only.

``certificates/CA/NAME/NAME.{crt,key,json}`` has a certificate, ``acme/CA/users/MAIL/`` an account.
The directory URL of the CA and the account URL are in the JSON files; the challenge is nowhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from gatecert.adoption.foreign_files import (
    UnreadableError,
    mail_addresses,
    read,
    read_key,
    read_object,
    subdirectories,
    text_of,
)
from gatecert.adoption.found import FoundAccount, FoundCertificate, FoundState, Refusal
from gatecert.errors import clean

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

NAME: Final = "Caddy"
INTERNAL: Final = "local"  # the CA inside Caddy
OR_ELSE: Final = (
    (
        "In the Caddyfile, name gatecert's files: tls FULLCHAIN PRIVKEY."
        " Caddy then obtains no certificate for the name."
    ),
)
GO_BACK: Final = ("remove the tls line from the Caddyfile, and reload Caddy",)


def recognises(directory: Path) -> bool:
    """Tell whether a directory is Caddy's."""
    return (directory / "certificates").is_dir() and (
        (directory / "acme").is_dir() or any((directory / "certificates").glob("*/*/*.crt"))
    )


def read_state(directory: Path) -> FoundState:
    """Read the accounts and certificates of Caddy."""
    refused: list[Refusal] = []
    certificates = []
    for folder in _folders(directory):
        if folder.parent.name == INTERNAL:
            reason = "Caddy's own CA issued it, not an ACME CA"
            refused.append(Refusal(clean(folder.name), reason, "leave it to Caddy"))
            continue
        try:
            certificates.append(_certificate(folder))
        except UnreadableError as error:
            refused.append(Refusal(clean(folder.name), error.message, error.fix))
    accounts = tuple(_accounts(directory, certificates, refused))
    return FoundState(
        NAME,
        directory,
        accounts,
        tuple(certificates),
        tuple(refused),
        or_else=OR_ELSE,
        go_back=GO_BACK,
        notes=(
            (
                "Caddy answers challenges itself on ports 80 and 443; gatecert uses http-01 unless"
                " challenges is configured: docs/challenges.md says how a proxy forwards them"
            ),
        ),
    )


def _folders(directory: Path) -> Iterator[Path]:
    for ca in subdirectories(directory / "certificates"):
        yield from subdirectories(ca)


def _certificate(folder: Path) -> FoundCertificate:
    name = folder.name
    fields = read_object(folder / f"{name}.json") if (folder / f"{name}.json").is_file() else {}
    issuer = fields.get("issuer_data")
    data = issuer if isinstance(issuer, dict) else {}
    names = fields.get("sans")
    url = text_of(data.get("ca"))
    return FoundCertificate(
        name=name,
        path=folder,
        private_key=read(folder / f"{name}.key"),
        fullchain=read(folder / f"{name}.crt"),
        directory_url=url,
        server=urlsplit(url).netloc,
        account=text_of(data.get("account")),
        names=tuple(map(text_of, names)) if isinstance(names, list) else (),
        files={"fullchain.pem": folder / f"{name}.crt", "privkey.pem": folder / f"{name}.key"},
    )


def _accounts(
    directory: Path, certificates: Iterable[FoundCertificate], refused: list[Refusal]
) -> Iterator[FoundAccount]:
    directories = {each.account: each.directory_url for each in certificates}
    for path in sorted((directory / "acme").glob("*/users/*/*.key")):
        try:
            record = path.with_suffix(".json")
            fields = read_object(record) if record.is_file() else {}
            url = text_of(fields.get("location"))
            yield FoundAccount(
                id=url or str(path.parent),
                directory_url=directories.get(url, ""),
                server=path.parents[2].name,
                url=url,
                contact=mail_addresses(fields.get("contact")),
                private_key=read_key(path),
                path=path,
            )
        except UnreadableError as error:
            refused.append(Refusal(f"account {clean(path.parent.name)}", error.message, error.fix))
