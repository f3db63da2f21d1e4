"""CAs and accounts that an adoption adds. Pure.

The CA of a certificate keeps its name in the configuration, or gets its well-known short name, or
its host's. Of several accounts with a CA, the one that most certificates name is adopted.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from gatecert.adoption.found import FoundAccount
from gatecert.adoption.secret_file import Secret
from gatecert.config.names import SAFE_NAME
from gatecert.config.schema.authority import mail_address
from gatecert.config.values import BadValueError
from gatecert.config.well_known import PUBLIC_CAS, is_public_ca
from gatecert.errors import clean
from gatecert.model import Account

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from gatecert.adoption.adoptable import Adoptable
    from gatecert.adoption.existing import Existing
    from gatecert.adoption.found import FoundState

MAIL: Final = "mailto:"
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class PlannedAccount:
    """An account to take over.

    Attributes:
        authority: The CA's name in the configuration.
        account: As it is stored.
        found: Where it comes from.
    """

    authority: str
    account: Account
    found: FoundAccount


@dataclass(frozen=True, slots=True)
class AuthorityPlan:
    """The CAs of the certificates.

    Attributes:
        names: The CA's name by the URL of its directory.
        entries: New CAs, as written in the configuration.
        accounts: The accounts to take over.
        secrets: Files that the new CAs name.
        notes: What the operator should know.
    """

    names: Mapping[str, str]
    entries: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    accounts: tuple[PlannedAccount, ...] = ()
    secrets: tuple[Secret, ...] = ()
    notes: tuple[str, ...] = ()


def plan_authorities(
    state: FoundState, adoptables: Sequence[Adoptable], existing: Existing
) -> AuthorityPlan:
    """Plan the CAs of the certificates that can be adopted, with their accounts."""
    names: dict[str, str] = {}
    entries: dict[str, dict[str, object]] = {}
    accounts: list[PlannedAccount] = []
    secrets: list[Secret] = []
    notes: list[str] = []
    for url in dict.fromkeys(each.found.directory_url for each in adoptables):
        users = [each for each in adoptables if each.found.directory_url == url]
        known = next((name for name, each in existing.authorities.items() if each == url), "")
        name = known or _name(url, {*existing.authorities, *names.values()})
        names[url] = name
        chosen, others = _account(state.accounts, users, url)
        if chosen is None:
            notes.append(
                f"no account with {name} was found: gatecert registers one at the next order"
            )
        else:
            accounts.append(PlannedAccount(name, _stored(chosen, url), chosen))
        notes += [
            f"the account {clean(each.url or str(each.path))} with {name} is not adopted: another"
            " one has more certificates"
            for each in others
        ]
        if not known:
            secret = _binding_secret(name, chosen, existing)
            secrets += [secret] if secret else []
            entries[name] = _entry(url, name, users, chosen, secret)
            entries[name] |= _bundle(state, url)
            notes += _entry_notes(url, name, users, state)
    return AuthorityPlan(names, entries, tuple(accounts), tuple(secrets), tuple(notes))


def _name(url: str, taken: Collection[str]) -> str:
    """Return a name for a new CA."""
    short = next((name for name, ca in PUBLIC_CAS.items() if ca.directory_url == url), "")
    name = short or _UNSAFE.sub("-", urlsplit(url).hostname or "").strip("._-")[:60]
    if not re.fullmatch(SAFE_NAME, name):
        name = "authority"
    number, chosen = 1, name
    while chosen in taken:
        number += 1
        chosen = f"{name}-{number}"
    return chosen


def _account(
    accounts: Sequence[FoundAccount], users: Sequence[Adoptable], url: str
) -> tuple[FoundAccount | None, list[FoundAccount]]:
    """Return the account to adopt, and the others with the same CA."""
    counted = Counter(each.found.account for each in users)
    ours = [each for each in accounts if each.directory_url == url or counted[each.id]]
    ours.sort(key=lambda each: (-counted[each.id], not each.url))
    return (ours[0] if ours else None), ours[1:]


def _stored(found: FoundAccount, url: str) -> Account:
    if not found.url.startswith("https://"):
        return Account(found.private_key)  # the CA returns the URL of a known key
    contact = tuple(f"{MAIL}{each}" for each in _mail_addresses(found))
    return Account(found.private_key, found.url, url, contact)


def _mail_addresses(found: FoundAccount | None) -> list[str]:
    addresses = []
    for each in found.contact if found is not None else ():
        try:
            addresses.append(mail_address(each))
        except BadValueError:  # it was accepted by the CA once, and is optional
            continue
    return addresses


def _binding_secret(name: str, found: FoundAccount | None, existing: Existing) -> Secret | None:
    if found is None or not (found.key_id and found.hmac_key):
        return None
    return Secret(existing.path.parent / f"{name}-hmac-key", found.hmac_key)


def _entry(
    url: str,
    name: str,
    users: Sequence[Adoptable],
    account: FoundAccount | None,
    secret: Secret | None,
) -> dict[str, object]:
    """Return the entry of a new CA."""
    entry: dict[str, object] = {}
    if name not in PUBLIC_CAS:
        entry["directory_url"] = url
    if addresses := _mail_addresses(account):
        entry["contact"] = addresses
    entry["terms_of_service_agreed"] = True  # the account has agreed to them
    profiles = _profiles(users)
    if len(profiles) == 1 and (profile := next(iter(profiles)))[0]:
        entry["profile"] = profile[0] if profile[1] else {"preferred": profile[0]}
    roots = {each.found.preferred_root for each in users}
    if len(roots) == 1 and (root := next(iter(roots))):
        entry["preferred_root"] = root
    if account is not None and secret is not None:
        entry["external_account"] = {
            "key_id": account.key_id,
            "hmac_key_file": str(secret.path),
        }
    return entry


def _bundle(state: FoundState, url: str) -> dict[str, object]:
    """Return the roots for the HTTPS connections to a private CA, where the client has them."""
    if state.ca_bundle is None or is_public_ca(url) or not state.ca_bundle.is_file():
        return {}
    return {"ca_bundle": str(state.ca_bundle)}


def _entry_notes(url: str, name: str, users: Sequence[Adoptable], state: FoundState) -> list[str]:
    """Return what the operator should know about a new CA."""
    notes = []
    if not is_public_ca(url) and not _bundle(state, url):
        notes.append(
            f"if a private CA issued the HTTPS certificate of {clean(url)}, set"
            f" authorities.{name}.ca_bundle, or use --ca-bundle"
        )
    profiles = _profiles(users)
    if len(profiles) > 1:
        shown = ", ".join(sorted(clean(each[0]) or "none" for each in profiles))
        notes.append(
            f"the certificates have several profiles ({shown}); gatecert has one for each CA: set"
            f" authorities.{name}.profile"
        )
    return notes


def _profiles(users: Sequence[Adoptable]) -> set[tuple[str, bool]]:
    return {(each.found.profile, each.found.is_profile_required) for each in users}
