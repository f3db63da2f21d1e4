"""certbot's directory, usually /etc/letsencrypt: reading only.

``renewal/NAME.conf`` has the settings of a lineage, ``live/NAME`` links to its newest files in
``archive/NAME``, and ``accounts/SERVER/…/ID`` has the account: ``private_key.json`` (JWK),
``regr.json`` (URL) and ``meta.json``.
"""

from __future__ import annotations

import base64
import re
from configparser import ConfigParser
from configparser import Error as ConfigParserError
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from gatecert.acme.signature import pem_of_jwk
from gatecert.adoption import provider_table
from gatecert.adoption.dns_providers import lexicon_challenge, rfc2136_challenge, without_equal
from gatecert.adoption.foreign_files import (
    UnreadableError,
    mail_addresses,
    read,
    read_object,
    read_text,
    text_of,
)
from gatecert.adoption.found import (
    FoundAccount,
    FoundCertificate,
    FoundChallenge,
    FoundHook,
    FoundProvider,
    FoundState,
    Refusal,
)
from gatecert.errors import AuthorityError, clean

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

NAME: Final = "certbot"
FILES: Final = ("privkey", "cert", "chain", "fullchain")
HOOKS: Final = ("renew_hook", "deploy_hook", "post_hook", "pre_hook")
HOOK_DIRECTORIES: Final = ("pre", "deploy", "post")
WEB_SERVERS: Final = {"nginx": "nginx", "apache": "Apache"}
DEFAULT_PORT: Final = "80"
SWITCH_OFF: Final = ("systemctl disable --now certbot.timer",)
OR_ELSE: Final = (
    (
        "With snap, the timer is snap.certbot.renew.timer. With pip, remove the line with `certbot"
        " renew` from /etc/crontab, /etc/cron.d or crontab -e."
    ),
)
GO_BACK: Final = ("systemctl enable --now certbot.timer",)
_SECTION = re.compile(r"\[+\s*(?P<name>[^\[\]]+?)\s*\]+")


def recognises(directory: Path) -> bool:
    """Tell whether a directory is certbot's."""
    return (directory / "renewal").is_dir() or (
        (directory / "accounts").is_dir() and (directory / "live").is_dir()
    )


def read_state(directory: Path) -> FoundState:
    """Read the accounts and lineages of certbot."""
    refused: list[Refusal] = []
    accounts = tuple(_accounts(directory, refused))
    certificates = []
    for path in sorted((directory / "renewal").glob("*.conf")):
        try:
            certificates.append(_lineage(directory, path))
        except UnreadableError as error:
            refused.append(Refusal(clean(path.stem), error.message, error.fix))
    return FoundState(
        NAME,
        directory,
        accounts,
        tuple(certificates),
        tuple(refused),
        switch_off=SWITCH_OFF,
        or_else=OR_ELSE,
        go_back=GO_BACK,
        notes=tuple(_hook_notes(directory)),
    )


# --------------------------------------------------------------------------- accounts


def _accounts(directory: Path, refused: list[Refusal]) -> Iterator[FoundAccount]:
    for path in sorted((directory / "accounts").rglob("private_key.json")):
        if any(each.is_symlink() for each in _between(directory / "accounts", path)):
            continue  # accounts of an earlier URL of the same CA
        try:
            yield _account(directory, path)
        except (UnreadableError, AuthorityError) as error:
            refused.append(Refusal(f"account {clean(path.parent.name)}", error.message, error.fix))


def _between(top: Path, path: Path) -> Iterator[Path]:
    """Yield the directories from a file up to a directory."""
    for parent in path.parents:
        if parent == top:
            return
        yield parent


def _account(directory: Path, path: Path) -> FoundAccount:
    server = "/".join(path.parent.parent.relative_to(directory / "accounts").parts)
    url = ""
    contact: tuple[str, ...] = ()
    if (path.parent / "regr.json").is_file():
        registration = read_object(path.parent / "regr.json")
        url, body = text_of(registration.get("uri")), registration.get("body")
        contact = mail_addresses(body.get("contact") if isinstance(body, dict) else None)
    return FoundAccount(
        id=path.parent.name,
        directory_url=f"https://{server}",
        server=server.partition("/")[0],
        url=url,
        contact=contact,
        private_key=pem_of_jwk(read_text(path), str(path)),
        path=path,
    )


# --------------------------------------------------------------------------- lineages


def _lineage(directory: Path, path: Path) -> FoundCertificate:
    sections = _parsed(read_text(path), path)
    top, settings = sections[""], sections.get("renewalparams", {})
    name = path.stem
    files = {
        each: Path(top.get(each) or directory / "live" / name / f"{each}.pem") for each in FILES
    }
    usable = {each: directory / "live" / name / f"{each}.pem" for each in FILES}
    notes = []
    if not _is_complete(usable):
        usable = files
    if not _is_complete(usable):
        archives = [directory / "archive" / name, Path(top.get("archive_dir") or directory)]
        archive = next((each for each in archives if each.is_dir()), archives[0])
        usable = _newest(archive, name)
        notes.append(f"live/{clean(name)} is missing or broken; taken from {archive}")
    if settings.get("autorenew", "").lower() == "false":
        notes.append("certbot does not renew it (autorenew = False); gatecert does")
    profile = settings.get("required_profile") or settings.get("preferred_profile", "")
    return FoundCertificate(
        name=name,
        path=path,
        private_key=read(usable["privkey"]),
        fullchain=read(usable["fullchain"]),
        directory_url=settings.get("server", ""),
        server=urlsplit(settings.get("server", "")).netloc,
        account=settings.get("account", ""),
        challenge=_challenge(settings, sections),
        hooks=_hooks(settings),
        names=tuple(sorted(sections.get("webroot_map", {}))),
        files={f"{each}.pem": at for each, at in files.items()},
        reuse_key=settings.get("reuse_key", "").lower() == "true",
        profile=profile,
        is_profile_required="required_profile" in settings,
        preferred_root=_first(settings.get("preferred_chain", "")),
        notes=tuple(notes),
    )


def _is_complete(files: Mapping[str, Path]) -> bool:
    return files["privkey"].exists() and files["fullchain"].exists()


def _newest(archive: Path, name: str) -> dict[str, Path]:
    """Return the newest complete set of files of an archive.

    Raises:
        UnreadableError: There is none.
    """
    numbers = [
        int(found[1])
        for each in archive.glob("fullchain*.pem")
        if (found := re.fullmatch(r"fullchain([0-9]{1,9})\.pem", each.name))
    ]
    for number in sorted(numbers, reverse=True):
        if (archive / f"privkey{number}.pem").is_file():
            return {each: archive / f"{each}{number}.pem" for each in FILES}
    raise UnreadableError(
        f"neither live/{clean(name)} nor {archive} has a certificate with its key"
    )


def _parsed(text: str, path: Path) -> dict[str, dict[str, str]]:
    """Parse certbot's configuration (ConfigObj): sections, and keys with a value each."""
    sections: dict[str, dict[str, str]] = {"": {}}
    current = sections[""]
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        if (section := _SECTION.fullmatch(stripped)) is not None:
            current = sections.setdefault(section["name"], {})
            continue
        key, equals, value = stripped.partition("=")
        if not equals or "\0" in line:
            raise UnreadableError(
                f"{path}:{number} is damaged: no `key = value`",
                fix="restore the file, or remove it if the certificate is not needed",
            )
        current[key.strip()] = _unquoted(value.strip())
    return sections


def _unquoted(value: str) -> str:
    quote = value[:1]
    is_quoted = quote in {"'", '"'} and len(value) > 1 and value.endswith(quote)
    return value[1:-1] if is_quoted else value


def _first(value: str) -> str:
    """Return the first item of a list."""
    return _unquoted(value.split(",", maxsplit=1)[0].strip())


def _hooks(settings: Mapping[str, str]) -> tuple[FoundHook, ...]:
    hooks = [FoundHook(key, settings[key]) for key in HOOKS if settings.get(key)]
    installer = settings.get("installer", "")
    if installer in WEB_SERVERS:
        unit = "nginx" if installer == "nginx" else "apache2"
        hooks.append(FoundHook(f"installer = {installer}", f"systemctl reload {unit}"))
    return tuple(hooks)


def _hook_notes(directory: Path) -> Iterator[str]:
    """Name the scripts that certbot runs for every lineage."""
    for kind in HOOK_DIRECTORIES:
        for path in sorted((directory / "renewal-hooks" / kind).glob("*")):
            if path.is_file() and path.stat().st_mode & 0o111:
                yield (
                    f"certbot runs {path} for every certificate; gatecert does not:"
                    " if it reloads a server, use install.reload or a reload unit instead"
                )


# --------------------------------------------------------------------------- challenges


def _challenge(
    settings: Mapping[str, str], sections: Mapping[str, Mapping[str, str]]
) -> FoundChallenge:
    method = settings.get("authenticator", "")
    if method == "standalone":
        return _standalone(settings)
    if method == "webroot":
        return _webroot(settings, sections.get("webroot_map", {}))
    if method in WEB_SERVERS:
        server = WEB_SERVERS[method]
        return FoundChallenge(
            method=method,
            kind="http-01",
            webroot=Path("/var/www/html"),
            note=f"certbot answered http-01 inside {server}; gatecert writes files instead: serve"
            " /var/www/html/.well-known/acme-challenge/ for every name on port 80"
            f" (docs/challenges/{method}-http-01-webroot.conf)",
        )
    if method.startswith("dns-"):
        return _dns(method, settings)
    if method == "manual":
        hook = settings.get("manual_auth_hook", "")
        shown = f"the hook {clean(hook)}" if hook else "steps by hand"
        return FoundChallenge(
            method=method,
            kind="dns-01" if settings.get("pref_challs", "").startswith("dns") else "http-01",
            lack=f"certbot validates with {shown}, called differently by gatecert; set"
            " challenges.dns-01 with provider: exec (docs/dns.md), or use http-01",
        )
    lack = f"certbot's plug-in {clean(method)} has no equal; set challenges" if method else ""
    return FoundChallenge(method=method, lack=lack)


def _standalone(settings: Mapping[str, str]) -> FoundChallenge:
    port = settings.get("http01_port", DEFAULT_PORT)
    host = settings.get("http01_address", "")
    listen: tuple[str, ...] = ()
    if host:
        listen = (f"[{host}]:{port}" if ":" in host else f"{host}:{port}",)
    elif port != DEFAULT_PORT:
        listen = (f"[::]:{port}", f"0.0.0.0:{port}")
    return FoundChallenge(method="standalone", kind="http-01", listen=listen)


def _webroot(settings: Mapping[str, str], by_name: Mapping[str, str]) -> FoundChallenge:
    found = list(dict.fromkeys(_first(each) for each in by_name.values()))
    if not found and settings.get("webroot_path"):
        found = [_first(settings["webroot_path"])]
    if not found:
        return FoundChallenge(method="webroot", kind="http-01", lack="certbot stores no webroot")
    note = ""
    if len(found) > 1:
        others = ", ".join(map(clean, found[1:]))
        note = f"its names have several webroots; gatecert has one: serve it instead of {others}"
    return FoundChallenge(method="webroot", kind="http-01", webroot=Path(found[0]), note=note)


def _dns(method: str, settings: Mapping[str, str]) -> FoundChallenge:
    name = method.removeprefix("dns-")
    prefix = f"dns_{name.replace('-', '_')}_"
    path = settings.get(f"{prefix}credentials", "")
    try:
        if name == "route53":
            return _route53(method)
        if name == "google":
            return _google(method, path)
        equal = provider_table.CERTBOT.get(name)
        if equal is None and name != "rfc2136":
            return without_equal(
                method,
                f"certbot's plug-in {clean(method)} has no equal that is known here",
                "set challenges.dns-01 with the provider (docs/dns.md)",
            )
        values = _credentials(Path(path), prefix)
    except UnreadableError as error:
        return without_equal(
            method, f"its credentials: {error.message}", "set challenges.dns-01 (docs/dns.md)"
        )
    if equal is not None:
        return lexicon_challenge(method, equal, values)
    return rfc2136_challenge(
        method,
        server=values.get("server", ""),
        port=values.get("port", ""),
        name=values.get("name", ""),
        algorithm=values.get("algorithm", "") or "hmac-md5",
        secret=values.get("secret", ""),
    )


def _credentials(path: Path, prefix: str) -> dict[str, str]:
    """Read an INI file of a plug-in; its keys have the plug-in's name in front."""
    values = _parsed(read_text(path), path)[""]
    return {key.removeprefix(prefix): value for key, value in values.items()}


def _google(method: str, path: str) -> FoundChallenge:
    if not path:
        return without_equal(
            method,
            "the credentials are those of the machine",
            "set challenges.dns-01 with provider: googleclouddns",
        )
    encoded = base64.b64encode(read(Path(path))).decode("ascii")
    secrets = {"auth_service_account_info": f"base64::{encoded}"}
    provider = FoundProvider("googleclouddns", secrets=secrets)
    return FoundChallenge(method=method, kind="dns-01", provider=provider)


def _route53(method: str, home: Path | None = None) -> FoundChallenge:
    """Take the credentials of AWS's own file, as the plug-in does."""
    path = (home or Path("/root")) / ".aws" / "credentials"
    parser = ConfigParser(interpolation=None)
    try:
        parser.read_string(read_text(path))
        section = parser["default"]
        secrets = {
            "auth_access_key": section["aws_access_key_id"],
            "auth_access_secret": section["aws_secret_access_key"],
        }
    except (UnreadableError, ConfigParserError, KeyError):  # whose text may show a key
        why = f"there are no credentials in the section default of {path}"
        return without_equal(
            method,
            why,
            "set challenges.dns-01 with provider: route53 and credentials: auth_access_key,"
            " auth_access_secret",
        )
    return FoundChallenge(
        method=method, kind="dns-01", provider=FoundProvider("route53", secrets=secrets)
    )
