"""acme.sh's directory, usually ~/.acme.sh: reading only.

``DOMAIN/`` and ``DOMAIN_ecc/`` have a certificate with its settings in ``DOMAIN.conf``,
``ca/HOST/PATH/`` has the account with a CA, and ``account.conf`` the credentials of DNS providers.
The settings are shell assignments; commands among them are encoded in base64.
"""

from __future__ import annotations

import base64
import binascii
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from gatecert.adoption import provider_table
from gatecert.adoption.dns_providers import (
    bind_key,
    lexicon_challenge,
    rfc2136_challenge,
    without_equal,
)
from gatecert.adoption.foreign_files import (
    UnreadableError,
    read,
    read_key,
    read_text,
    subdirectories,
)
from gatecert.adoption.found import (
    FoundAccount,
    FoundCertificate,
    FoundChallenge,
    FoundHook,
    FoundState,
    Refusal,
)
from gatecert.errors import clean

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

NAME: Final = "acme.sh"
ECC: Final = "_ecc"
BASE64: Final = ("__ACME_BASE64__START_", "__ACME_BASE64__END_")
NONE: Final = {"", "no"}
SAVED: Final = "SAVED_"
HOOKS: Final = ("Le_ReloadCmd", "Le_RenewHook", "Le_PostHook", "Le_PreHook")
INSTALLED: Final = {
    "privkey": "Le_RealKeyPath",
    "cert": "Le_RealCertPath",
    "chain": "Le_RealCACertPath",
    "fullchain": "Le_RealFullChainPath",
}
DEFAULT_PORT: Final = "80"


def recognises(directory: Path) -> bool:
    """Tell whether a directory is acme.sh's."""
    return (directory / "account.conf").is_file() or any(_settings_files(directory))


def read_state(directory: Path) -> FoundState:
    """Read the accounts and certificates of acme.sh."""
    refused: list[Refusal] = []
    shared: dict[str, str] = {}
    if (directory / "account.conf").is_file():
        try:
            shared = _assignments(directory / "account.conf")
        except UnreadableError as error:
            refused.append(Refusal("account.conf", error.message, error.fix))
    homes = dict.fromkeys([directory, Path(shared.get("CERT_HOME") or directory)])
    certificates = []
    for path in (each for home in homes for each in _settings_files(home)):
        try:
            certificates.append(_certificate(path, shared, directory / "ca"))
        except UnreadableError as error:
            refused.append(Refusal(clean(path.parent.name), error.message, error.fix))
    accounts = tuple(_accounts(directory / "ca", certificates, refused))
    bundle = shared.get("CA_BUNDLE", "")
    script = directory / "acme.sh"
    command = str(script) if script.is_file() else "acme.sh"
    home = "" if script.is_file() else f" --home {shlex.quote(str(directory))}"
    return FoundState(
        NAME,
        directory,
        accounts,
        tuple(certificates),
        tuple(refused),
        ca_bundle=Path(bundle) if bundle else None,
        switch_off=(f"{command} --uninstall-cronjob{home}",),
        or_else=("If a systemd timer runs it, disable that instead: systemctl list-timers.",),
        go_back=(f"{command} --install-cronjob{home}",),
        notes=(
            (
                "acme.sh keeps the key at renewals, gatecert makes a new one: set key.reuse: true"
                " where something pins it, such as a TLSA record"
            ),
        ),
    )


def _settings_files(directory: Path) -> Iterator[Path]:
    for each in subdirectories(directory):
        path = each / f"{each.name.removesuffix(ECC)}.conf"
        if path.is_file() and _is_domain(path):
            yield path


def _is_domain(path: Path) -> bool:
    """Tell whether a file is one of acme.sh's, and not of a server with such a name."""
    try:
        return b"Le_Domain" in read(path)
    except UnreadableError:
        return False


def _assignments(path: Path) -> dict[str, str]:
    """Return the variables of a file, without running it."""
    found: dict[str, str] = {}
    for number, line in enumerate(read_text(path).splitlines(), 1):
        name, equals, value = line.strip().partition("=")
        if not equals or not name.isidentifier():
            continue  # comments, and variables that acme.sh has removed
        try:
            found[name] = _decoded("".join(shlex.split(value)))
        except ValueError:
            raise UnreadableError(f"{path}:{number} is damaged") from None
    return found


def _decoded(value: str) -> str:
    begin, end = BASE64
    if not (value.startswith(begin) and value.endswith(end)):
        return value
    try:
        decoded = base64.b64decode(value[len(begin) : -len(end)], validate=True)
    except binascii.Error as error:
        raise ValueError from error
    return decoded.decode("utf-8")


# --------------------------------------------------------------------------- accounts


def _accounts(
    directory: Path, certificates: Iterable[FoundCertificate], refused: list[Refusal]
) -> Iterator[FoundAccount]:
    directories = {each.account: each.directory_url for each in certificates}
    for path in sorted(directory.rglob("account.key")):
        account = str(path.parent.relative_to(directory))
        try:
            settings = _assignments(path.parent / "ca.conf") if _has_settings(path) else {}
            yield FoundAccount(
                id=account,
                directory_url=directories.get(account) or f"https://{account}",
                server=account.partition("/")[0],
                url=clean(settings.get("ACCOUNT_URL", "")),
                contact=tuple(filter(None, [settings.get("CA_EMAIL", "")])),
                private_key=read_key(path),
                path=path,
                key_id=settings.get("CA_EAB_KEY_ID", ""),
                hmac_key=settings.get("CA_EAB_HMAC_KEY", ""),
            )
        except UnreadableError as error:
            refused.append(Refusal(f"account {clean(account)}", error.message, error.fix))


def _has_settings(key: Path) -> bool:
    return (key.parent / "ca.conf").is_file()


# --------------------------------------------------------------------------- certificates


def _certificate(path: Path, shared: Mapping[str, str], accounts: Path) -> FoundCertificate:
    settings = _assignments(path)
    folder, domain = path.parent, path.stem
    url = settings.get("Le_API", "")
    directory = urlsplit(url)
    account = f"{directory.hostname or ''}{directory.path}".rstrip("/")
    if not (accounts / account / "account.key").is_file():
        account = ""
    alternatives = settings.get("Le_Alt", "")
    names = [settings.get("Le_Domain", domain)]
    if alternatives not in NONE:
        names += alternatives.split(",")
    deployment = settings.get("Le_DeployHook", "")
    return FoundCertificate(
        name=folder.name,
        path=path,
        private_key=read(folder / f"{domain}.key"),
        fullchain=_fullchain(folder, domain),
        directory_url=url,
        server=directory.netloc,
        account=account,
        challenge=_challenge(settings, shared) if settings.get("Le_Webroot") else FoundChallenge(),
        hooks=tuple(FoundHook(key, settings[key]) for key in HOOKS if settings.get(key)),
        names=tuple(names),
        installed={
            contents: Path(settings[key])
            for contents, key in INSTALLED.items()
            if settings.get(key, "") not in NONE
        },
        files={
            "privkey.pem": folder / f"{domain}.key",
            "cert.pem": folder / f"{domain}.cer",
            "chain.pem": folder / "ca.cer",
            "fullchain.pem": folder / "fullchain.cer",
        },
        profile=settings.get("Le_Certificate_Profile", ""),
        is_profile_required=bool(settings.get("Le_Certificate_Profile")),
        preferred_root=settings.get("Le_Preferred_Chain", ""),
        notes=(f"acme.sh deploys it with {clean(deployment)}; gatecert does not",)
        if deployment not in NONE
        else (),
    )


def _fullchain(folder: Path, domain: str) -> bytes:
    """Return the certificate and its issuers; acme.sh writes them with text in between."""
    if (folder / "fullchain.cer").is_file():
        return read(folder / "fullchain.cer")
    chain = read(folder / "ca.cer") if (folder / "ca.cer").is_file() else b""
    return read(folder / f"{domain}.cer") + b"\n" + chain


def _challenge(settings: Mapping[str, str], shared: Mapping[str, str]) -> FoundChallenge:
    methods = list(dict.fromkeys(settings["Le_Webroot"].split(",")))
    method = methods[0]
    note = ""
    if len(methods) > 1:
        note = f"its names are validated in several ways ({clean(', '.join(methods))}); gatecert"
        note += " uses the first"
    match method:
        case "no":
            return FoundChallenge("standalone", "http-01", _listen(settings), note=note)
        case "alpn":
            return FoundChallenge("alpn", "tls-alpn-01", note=note)
        case "dns":
            return without_equal(
                "manual dns",
                "its TXT record was set by hand",
                "set challenges.dns-01 (docs/dns.md), or use http-01",
            )
        case _ if method.startswith("dns_"):
            saved = {
                key.removeprefix(SAVED): value for key, value in {**shared, **settings}.items()
            }
            return _dns(method, saved)
        case _ if method.startswith("/"):
            return FoundChallenge("webroot", "http-01", webroot=Path(method), note=note)
        case _:
            server = clean(method.partition(":")[0])
            return FoundChallenge(
                method=server,
                kind="http-01",
                webroot=Path("/var/www/html"),
                note=f"acme.sh answered http-01 inside {server}; gatecert writes files instead:"
                " serve /var/www/html/.well-known/acme-challenge/ for every name on port 80",
            )


def _listen(settings: Mapping[str, str]) -> tuple[str, ...]:
    port = settings.get("Le_HTTPPort") or DEFAULT_PORT
    host = settings.get("Le_LocalAddress", "")
    if host:
        return (f"[{host}]:{port}" if ":" in host else f"{host}:{port}",)
    return () if port == DEFAULT_PORT else (f"[::]:{port}", f"0.0.0.0:{port}")


def _dns(method: str, saved: Mapping[str, str]) -> FoundChallenge:
    name = method.removeprefix("dns_")
    if name == "nsupdate":
        return _nsupdate(method, saved)
    equal = provider_table.ACME_SH.get(name)
    if equal is None:
        return without_equal(
            method,
            f"acme.sh's {clean(method)} has no equal that is known here",
            "set challenges.dns-01 with the provider (docs/dns.md)",
        )
    return lexicon_challenge(method, equal, saved)


def _nsupdate(method: str, saved: Mapping[str, str]) -> FoundChallenge:
    name = algorithm = secret = ""
    path = saved.get("NSUPDATE_KEY", "")
    if path:
        try:
            name, algorithm, secret = bind_key(read_text(Path(path)))
        except UnreadableError as error:
            why = f"its key: {error.message}"
            return without_equal(method, why, "set challenges.dns-01 with provider: rfc2136")
        if not name:
            why = f"{clean(path)} is no BIND key file"
            return without_equal(method, why, "set challenges.dns-01 with provider: rfc2136")
    return rfc2136_challenge(
        method,
        server=saved.get("NSUPDATE_SERVER", "").split(",")[0] or "localhost",
        port=saved.get("NSUPDATE_SERVER_PORT", ""),
        name=name,
        algorithm=algorithm,
        secret=secret,
        zone=saved.get("NSUPDATE_ZONE", "").rstrip("."),
    )
