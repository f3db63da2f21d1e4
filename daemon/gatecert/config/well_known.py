"""Public certificate authorities by short name, so that nobody has to look up their directories.

Those that issue over ACME to whoever asks, or to whoever has signed up with them, in November 2026.
An authority that wants to know its customers (external account binding, RFC 8555 section 7.3.4)
hands out a key when one signs up. Not here: Buypass, which ended its certificates in October 2025,
and those that give each customer a directory URL of its own (DigiCert, GlobalSign, Sectigo).
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class PublicCA:
    """A public authority.

    Attributes:
        directory_url: Its ACME directory.
        external_account: Whether it makes accounts only for those it knows already.
        staging_directory_url: Where one may try without harm, with no sign-up; empty if nowhere.
    """

    directory_url: str
    external_account: bool
    staging_directory_url: str = ""


LETS_ENCRYPT_STAGING: Final = "https://acme-staging-v02.api.letsencrypt.org/directory"

PUBLIC_CAS: Final[Mapping[str, PublicCA]] = MappingProxyType(
    {
        "letsencrypt": PublicCA(
            "https://acme-v02.api.letsencrypt.org/directory",
            external_account=False,
            staging_directory_url=LETS_ENCRYPT_STAGING,
        ),
        "letsencrypt-staging": PublicCA(LETS_ENCRYPT_STAGING, external_account=False),
        "zerossl": PublicCA("https://acme.zerossl.com/v2/DV90", external_account=True),
        "google": PublicCA("https://dv.acme-v02.api.pki.goog/directory", external_account=True),
        # Its accounts and keys are others than those of "google".
        "google-staging": PublicCA(
            "https://dv.acme-v02.test-api.pki.goog/directory", external_account=True
        ),
        "sslcom": PublicCA("https://acme.ssl.com/sslcom-dv-ecc", external_account=True),
        "sslcom-rsa": PublicCA("https://acme.ssl.com/sslcom-dv-rsa", external_account=True),
        "actalis": PublicCA("https://acme-api.actalis.com/acme/directory", external_account=True),
    }
)

DISCONTINUED: Final = MappingProxyType(
    {
        "buypass": "Buypass ended its certificates in October 2025",
        "entrust": "Entrust has handed its public certificates over to Sectigo",
    }
)


def by_directory(url: str) -> PublicCA | None:
    """The public authority that has a directory; None for any other."""
    return next((each for each in PUBLIC_CAS.values() if each.directory_url == url), None)


# Authorities that browsers trust and that issue for nobody's private network, by the domains of
# their directories. Vendors that run private authorities at the same hosts are none of them.
PUBLIC_DOMAINS: Final = frozenset(
    {"letsencrypt.org", "zerossl.com", "pki.goog", "ssl.com", "actalis.com", "buypass.com"}
)


def is_public_ca(url: str) -> bool:
    """Whether a directory is that of an authority that browsers trust.

    Such an authority issues for public names only (CA/Browser Forum Baseline Requirements section
    7.1.4.2.1); any other may issue for whatever names its owner likes.
    """
    host = urlsplit(url).hostname or ""
    return any(host == domain or host.endswith(f".{domain}") for domain in PUBLIC_DOMAINS)


def directory_at_host(url: str) -> str:
    """The directory of a public authority at the host of a URL; empty where there is none."""
    host = urlsplit(url).hostname
    found = (each.directory_url for each in PUBLIC_CAS.values())
    return next((each for each in found if urlsplit(each).hostname == host), "")
