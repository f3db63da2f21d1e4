"""Challenges that an adoption adds. Pure.

The configuration has one setting for each challenge type, other clients have one for each
certificate: the most common one is adopted, and the others are named. What is configured already
stays as it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from gatecert.adoption.found import Refusal
from gatecert.adoption.secret_file import Secret
from gatecert.errors import clean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatecert.adoption.adoptable import Adoptable
    from gatecert.adoption.existing import Existing
    from gatecert.adoption.found import FoundChallenge, FoundProvider

HTTP_01: Final = "http-01"
TLS_ALPN_01: Final = "tls-alpn-01"
DNS_01: Final = "dns-01"
OWN_PROVIDER: Final = "rfc2136"


@dataclass(frozen=True, slots=True)
class ChallengePlan:
    """The validation of the names.

    Attributes:
        entries: New challenge types, as written in the configuration.
        kinds: The challenge of each certificate, by its client's name; missing for any.
        secrets: Files that they name.
        notes: What the operator should know of each certificate.
        refused: Certificates that could not be renewed.
    """

    entries: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    kinds: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[Secret, ...] = ()
    notes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    refused: tuple[Refusal, ...] = ()


def plan_challenges(adoptables: Sequence[Adoptable], existing: Existing) -> ChallengePlan:
    """Plan the challenges of certificates whose gateways are new."""
    entries: dict[str, Mapping[str, object]] = {}
    secrets: tuple[Secret, ...] = ()
    chosen_http = _http_01(adoptables, existing)
    if chosen_http:
        entries[HTTP_01] = chosen_http
    provider = _provider(adoptables)
    if provider is not None and DNS_01 not in existing.challenges:
        secrets = _secrets(provider, existing)
        entries[DNS_01] = _dns_01(provider, secrets)
    if TLS_ALPN_01 not in existing.challenges and any(
        each.found.challenge.kind == TLS_ALPN_01 for each in adoptables
    ):
        entries[TLS_ALPN_01] = {}
    ready = {*entries, *existing.challenges, HTTP_01}
    several = len(ready) > 1
    kinds: dict[str, str] = {}
    notes: dict[str, tuple[str, ...]] = {}
    refused: list[Refusal] = []
    for each in adoptables:
        challenge = each.found.challenge
        refusal = _refusal(each, ready, existing)
        if refusal is not None:
            refused.append(refusal)
            continue
        if challenge.kind in ready and (several or challenge.kind != HTTP_01):
            kinds[each.found.name] = challenge.kind
        notes[each.found.name] = tuple(
            filter(
                None,
                [
                    challenge.note,
                    challenge.lack,
                    _other_http_01(challenge, chosen_http, existing),
                    _other_provider(challenge, provider, existing),
                ],
            )
        )
    return ChallengePlan(entries, kinds, secrets, notes, tuple(refused))


def _refusal(each: Adoptable, ready: set[str], existing: Existing) -> Refusal | None:
    """Return why a certificate cannot be renewed by any challenge; None if it can."""
    wildcard = next((name for name in each.identifiers if name.is_wildcard), None)
    if wildcard is None or DNS_01 in ready:
        return None
    lack = each.found.challenge.lack or "how it was validated is not recorded"
    return Refusal(
        clean(each.found.name),
        f"the wildcard {wildcard} requires dns-01, and there is no provider: {lack}",
        f"configure challenges.dns-01 in {existing.path} (docs/dns.md) and adopt again",
    )


# --------------------------------------------------------------------------- http-01


def _settings(challenge: FoundChallenge) -> dict[str, object]:
    """Return the settings of http-01; empty for gatecert's defaults."""
    if challenge.webroot is not None:
        return {"webroot": str(challenge.webroot)}
    return {"listen": list(challenge.listen)} if challenge.listen else {}


def _http_01(adoptables: Sequence[Adoptable], existing: Existing) -> dict[str, object]:
    """Return the most common settings of http-01, unless they are configured or in use."""
    if existing.gateways or HTTP_01 in existing.challenges:
        return {}
    found = [_settings(each.found.challenge) for each in adoptables if _is_http(each)]
    if not found:
        return {}
    counted = Counter(map(repr, found))
    return max(found, key=lambda each: counted[repr(each)])


def _is_http(each: Adoptable) -> bool:
    return each.found.challenge.kind == HTTP_01 and not each.found.challenge.lack


def _other_http_01(
    challenge: FoundChallenge, chosen: Mapping[str, object], existing: Existing
) -> str:
    """Return a note where http-01 is set up in another way than the client's."""
    own = _settings(challenge)
    is_fixed = bool(existing.gateways) or HTTP_01 in existing.challenges
    used = existing.http_01 if is_fixed else chosen
    if challenge.kind != HTTP_01 or challenge.lack or own == used:
        return ""
    where = f", as {existing.path} says" if is_fixed else ""
    return f"it was validated with {_in_words(own)}; gatecert uses {_in_words(used)}{where}"


def _in_words(settings: Mapping[str, object]) -> str:
    """Return settings of http-01 in words."""
    if "webroot" in settings:
        return f"the webroot {settings['webroot']}"
    listen = settings.get("listen")
    places = " and ".join(map(str, listen)) if isinstance(listen, list) else "port 80"
    return f"a listener at {clean(places)}"


# --------------------------------------------------------------------------- dns-01


def _identity(provider: FoundProvider) -> tuple[object, ...]:
    return (
        *(provider.name, provider.server, provider.tsig_name),
        tuple(sorted(provider.options.items())),
        tuple(sorted(provider.secrets.items())),
    )


def _provider(adoptables: Sequence[Adoptable]) -> FoundProvider | None:
    """Return the most common DNS provider; None if there is none."""
    found = [each.found.challenge.provider for each in adoptables]
    providers = [each for each in found if each is not None]
    counted = Counter(map(_identity, providers))
    return max(providers, key=lambda each: counted[_identity(each)], default=None)


def _secrets(provider: FoundProvider, existing: Existing) -> tuple[Secret, ...]:
    folder = existing.path.absolute().parent
    return tuple(
        Secret(folder / f"{provider.name}-{option}", value)
        for option, value in sorted(provider.secrets.items())
    )


def _dns_01(provider: FoundProvider, secrets: Sequence[Secret]) -> dict[str, object]:
    entry: dict[str, object] = {"provider": provider.name}
    if provider.zone:
        entry["zone"] = provider.zone
    if provider.name == OWN_PROVIDER:
        entry["server"] = provider.server
        if provider.tsig_name:
            entry["tsig"] = {
                "name": provider.tsig_name,
                "algorithm": provider.tsig_algorithm,
                "secret_file": str(secrets[0].path),
            }
        return entry
    if provider.options:
        entry["options"] = dict(provider.options)
    names = sorted(provider.secrets)
    entry["credentials"] = {
        option: str(secret.path) for option, secret in zip(names, secrets, strict=True)
    }
    return entry


def _other_provider(
    challenge: FoundChallenge, chosen: FoundProvider | None, existing: Existing
) -> str:
    """Return a note where another provider or other credentials are used than the client's."""
    own = challenge.provider
    if own is None:
        return ""
    if existing.dns_provider:
        if own.name == existing.dns_provider:
            return ""
        return (
            f"it was validated through {own.name}; challenges.dns-01 in {existing.path} has"
            f" {existing.dns_provider}, which must be able to change its zone"
        )
    if chosen is None or _identity(own) == _identity(chosen):
        return ""
    return (
        f"it was validated through {own.name} with other settings than most; gatecert uses"
        f" {chosen.name}, which must be able to change its zone"
    )
