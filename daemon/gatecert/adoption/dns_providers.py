"""Translation of another client's DNS plug-in into a provider of gatecert.

The result is a challenge with a provider, or with the reason why there is none and the setting that
is missing.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from gatecert.adoption.found import FoundChallenge, FoundProvider
from gatecert.config.schema.dns_provider import BROKEN, TsigAlgorithm
from gatecert.errors import clean

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gatecert.adoption.provider_table import Equal

DNS_01: Final = "dns-01"
_KEY: Final = re.compile(
    r'key\s+"?(?P<name>[^\s"{]+)"?\s*\{[^}]*?algorithm\s+"?(?P<algorithm>[\w.-]+)"?\s*;'
    r'[^}]*?secret\s+"?(?P<secret>[A-Za-z0-9+/=]+)"?\s*;',
    re.IGNORECASE | re.DOTALL,
)


def without_equal(method: str, why: str, missing: str) -> FoundChallenge:
    """Return a dns-01 challenge for which the configuration has to name a provider."""
    return FoundChallenge(method=method, kind=DNS_01, lack=f"{why}; {missing}")


def lexicon_challenge(method: str, equal: Equal, settings: Mapping[str, str]) -> FoundChallenge:
    """Return the challenge with a dns-lexicon provider.

    Args:
        method: The plug-in, as the client calls it.
        equal: Its equal.
        settings: What the client stores for it.
    """
    for each in equal.credentials:
        if all(settings.get(setting) for setting in each.values()):
            secrets = {option: settings[setting] for option, setting in each.items()}
            options = {
                option: settings[setting]
                for option, setting in equal.options.items()
                if settings.get(setting)
            }
            provider = FoundProvider(equal.provider, options, secrets)
            return FoundChallenge(method=method, kind=DNS_01, provider=provider)
    missing = [name for name in equal.credentials[0].values() if not settings.get(name)]
    wanted = ", ".join(sorted(equal.credentials[0]))
    return without_equal(
        method,
        f"{', '.join(missing)} of {method} is not stored",
        f"set challenges.dns-01 with provider: {equal.provider} and credentials: {wanted}",
    )


def rfc2136_challenge(  # noqa: PLR0913 - the settings of a key and a server
    method: str,
    *,
    server: str,
    port: str,
    name: str = "",
    algorithm: str = "",
    secret: str = "",
    zone: str = "",
) -> FoundChallenge:
    """Return the challenge with dynamic updates (RFC 2136)."""
    missing = "set challenges.dns-01 with provider: rfc2136, server and tsig"
    if not server:
        return without_equal(method, f"{method} stores no server", missing)
    written = clean(algorithm).lower().rstrip(".") or "hmac-md5"
    if written in BROKEN:
        why = f"the TSIG key {clean(name)} uses {written}, whose hash is broken"
        return without_equal(method, why, "make a new key with hmac-sha256 and " + missing)
    if name and written not in set(TsigAlgorithm):
        why = f"the TSIG key {clean(name)} uses {written}, which gatecert does not support"
        return without_equal(method, why, "make a new key with hmac-sha256 and " + missing)
    place = f"[{server}]" if ":" in server else server
    provider = FoundProvider(
        "rfc2136",
        secrets={"tsig": secret} if name else {},
        server=f"{place}:{port or 53}",
        zone=zone,
        tsig_name=name.rstrip("."),
        tsig_algorithm=written if name else "",
    )
    return FoundChallenge(method=method, kind=DNS_01, provider=provider)


def bind_key(text: str) -> tuple[str, str, str]:
    """Return name, algorithm and secret of a BIND key file; empty if it is none."""
    found = _KEY.search(text)
    return (found["name"], found["algorithm"], found["secret"]) if found else ("", "", "")
