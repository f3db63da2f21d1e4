"""lego's directory, usually .lego: reading only.

``certificates/NAME.{crt,key,json}`` has a certificate. An account is below
``accounts/HOST/MAIL``: ``account.json`` and ``keys/MAIL.key`` up to lego 4, and a directory for
each key type with both files from lego 5 on. lego records neither the challenge nor the directory
URL of the CA, only its host.
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
    text_of,
)
from gatecert.adoption.found import FoundAccount, FoundCertificate, FoundState, Refusal
from gatecert.config.well_known import directory_at_host
from gatecert.errors import clean

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAME: Final = "lego"
ISSUER: Final = ".issuer.crt"
URLS: Final = ("certUrl", "certStableUrl", "certURL", "certificateURL")
OR_ELSE: Final = (
    (
        "Remove the cron line or the systemd timer that runs `lego renew`: crontab -l, /etc/cron.d,"
        " systemctl list-timers."
    ),
)
GO_BACK: Final = ("put the cron line or timer of `lego renew` back",)


def recognises(directory: Path) -> bool:
    """Tell whether a directory is lego's."""
    return any((directory / "certificates").glob("*.crt")) or any(_account_files(directory))


def read_state(directory: Path) -> FoundState:
    """Read the accounts and certificates of lego."""
    refused: list[Refusal] = []
    accounts = tuple(_accounts(directory, refused))
    certificates = []
    for path in sorted((directory / "certificates").glob("*.crt")):
        if path.name.endswith(ISSUER):
            continue
        try:
            certificates.append(_certificate(path, accounts))
        except UnreadableError as error:
            refused.append(Refusal(clean(path.stem), error.message, error.fix))
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
                "lego does not record how it validates names: gatecert uses http-01 unless"
                " challenges is configured"
            ),
        ),
    )


def _account_files(directory: Path) -> Iterator[Path]:
    yield from sorted((directory / "accounts").glob("*/*/account.json"))
    yield from sorted((directory / "accounts").glob("*/*/*/account.json"))


def _accounts(directory: Path, refused: list[Refusal]) -> Iterator[FoundAccount]:
    for path in _account_files(directory):
        relative = path.parent.relative_to(directory / "accounts")
        try:
            yield _account(path, relative.parts[0])
        except UnreadableError as error:
            refused.append(Refusal(f"account {relative}", error.message, error.fix))


def _account(path: Path, server: str) -> FoundAccount:
    data = read_object(path)
    registration = data.get("registration")
    resource = registration if isinstance(registration, dict) else {}
    body = resource.get("body", resource)
    contact = mail_addresses(body.get("contact") if isinstance(body, dict) else None)
    keys = [*sorted((path.parent / "keys").glob("*.key")), *sorted(path.parent.glob("*.key"))]
    if not keys:
        raise UnreadableError(f"{path.parent} has no account key")
    url = text_of(resource.get("uri")) or text_of(resource.get("location"))
    host = server.replace("_", ":")
    return FoundAccount(
        id=url or str(path.parent),
        directory_url=directory_at_host(f"https://{host}/"),
        server=host,
        url=url,
        contact=contact or tuple(filter(None, [text_of(data.get("email"))])),
        private_key=read_key(keys[0]),
        path=keys[0],
    )


def _certificate(path: Path, accounts: tuple[FoundAccount, ...]) -> FoundCertificate:
    key = path.with_suffix(".key")
    if not key.exists():
        raise UnreadableError(
            f"{key} is missing: the certificate was issued for a CSR, and its key is elsewhere",
            fix="set mode: custom and import it: gatecert import",
        )
    issuer = path.with_name(path.stem + ISSUER)
    record = path.with_suffix(".json")
    fields = read_object(record) if record.is_file() else {}
    server = next(
        (urlsplit(text_of(fields[name])).netloc for name in URLS if text_of(fields.get(name))), ""
    )
    ours = [each for each in accounts if not server or each.server == server]
    fullchain = read(path)
    if fullchain.count(b"-----BEGIN CERTIFICATE-----") == 1 and issuer.is_file():
        fullchain += b"\n" + read(issuer)  # issued without --bundle
    domains = fields.get("domains")
    return FoundCertificate(
        name=path.stem,
        path=path,
        private_key=read(key),
        fullchain=fullchain,
        directory_url=directory_at_host(f"https://{server}/"),
        server=server or (ours[0].server if len(ours) == 1 else ""),
        account=ours[0].id if len(ours) == 1 else "",
        names=tuple(map(text_of, domains)) if isinstance(domains, list) else (),
        files={"fullchain.pem": path, "privkey.pem": key, "chain.pem": issuer},
    )
