"""Public CAs by short name, so that nobody has to look up their directories.

The CAs that issue over ACME to anyone, or to anyone who signs up, in November 2026. A CA that
requires external account binding (RFC 8555 section 7.3.4) provides a key at sign-up. Not listed:
Buypass, which ended its certificates in October 2025, and CAs with one directory URL a customer
(DigiCert, GlobalSign, Sectigo).
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
    """A public CA.

    Attributes:
        directory_url: Its ACME directory.
        external_account: Whether it requires external account binding.
        staging_directory_url: Its staging directory without sign-up; empty if none.
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
        # Its accounts and keys are separate from those of "google".
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
        "entrust": "Sectigo has taken over the public certificates of Entrust",
    }
)


def by_directory(url: str) -> PublicCA | None:
    """Return the public CA with this directory, None for any other."""
    return next((each for each in PUBLIC_CAS.values() if each.directory_url == url), None)


# CAs that browsers trust and that do not issue for private networks, by the domains of their
# directories. Vendors that host private CAs on the same domains are not listed.
PUBLIC_DOMAINS: Final = frozenset(
    {"letsencrypt.org", "zerossl.com", "pki.goog", "ssl.com", "actalis.com", "buypass.com"}
)


def is_public_ca(url: str) -> bool:
    """Check whether a directory belongs to a CA that browsers trust.

    Such a CA issues for public names only (CA/Browser Forum Baseline Requirements section
    7.1.4.2.1); any other CA may issue for any name.
    """
    host = urlsplit(url).hostname or ""
    return any(host == domain or host.endswith(f".{domain}") for domain in PUBLIC_DOMAINS)


def directory_at_host(url: str) -> str:
    """Return the directory of a public CA on the host of a URL; empty if there is none."""
    host = urlsplit(url).hostname
    found = (each.directory_url for each in PUBLIC_CAS.values())
    return next((each for each in found if urlsplit(each).hostname == host), "")
