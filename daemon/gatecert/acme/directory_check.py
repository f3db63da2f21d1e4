"""Facts about a CA from its directory (RFC 8555 section 7.1.1), before anything is ordered.

The directory tells whether the CA can be reached, what its clock says, its issuer domain names in
CAA records, whether it requires agreement to terms or an external account binding, and which
profiles it has. Fetching it costs nothing: no account, no order, no nonce.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from cryptography.x509 import Certificate

from gatecert import regular_files
from gatecert.certificate.pem import find_readable
from gatecert.errors import (
    ExternalAccountRequiredError,
    ProfileMissingError,
    TermsNotAgreedError,
    clean,
)
from gatecert.http.client_certificate import ClientCertificate

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from gatecert.acme.rate_limits import RemainingAllowance
    from gatecert.acme.resources import Directory
    from gatecert.config.schema.authority import AuthoritySettings


@dataclass(frozen=True, slots=True)
class DirectoryReport:
    """The facts from one CA's directory.

    Attributes:
        name: Its name in the configuration.
        label: The CA in messages.
        clock_ahead: How far this machine's clock is ahead of the CA's; None if it sent no Date.
        identities: Its issuer domain names in CAA records; empty if not given.
        account_url: Our account; empty if there is none yet.
        refusal: Why no account can be created; None if one can.
        profile: The configured profile; empty if none.
        profile_refusal: Why the profile is unavailable; None if it is available or optional.
        terms_of_service: The URL of the CA's terms of service; empty if it has none.
        client_certificate: The certificate that we presented (mutual TLS); None without one.
    """

    name: str
    label: str
    clock_ahead: timedelta | None = None
    identities: tuple[str, ...] = ()
    account_url: str = ""
    refusal: TermsNotAgreedError | ExternalAccountRequiredError | None = None
    profile: str = ""
    profile_refusal: ProfileMissingError | None = None
    terms_of_service: str = ""
    client_certificate: Certificate | None = None


class DirectorySource(Protocol):
    """A CA whose directory can be checked; ``issuer.Issuer`` speaks ACME."""

    def check_directory(self, cancelled: threading.Event | None = None) -> DirectoryReport:
        """Fetch and check the directory.

        Raises:
            AuthorityError: The CA cannot be reached, or does not speak ACME.
        """
        ...


class RateLimitedAuthority(DirectorySource, Protocol):
    """A CA with rate limits."""

    def remaining_limits(
        self, names: Sequence[str], now: Callable[[], datetime], lifetime: timedelta | None = None
    ) -> tuple[RemainingAllowance, ...]:
        """Return what is left of its limits for an order of these names.

        Raises:
            StorageError: The usage cannot be read.
        """
        ...


def terms_refusal(
    settings: AuthoritySettings, directory: Directory, label: str
) -> TermsNotAgreedError | None:
    """Return an error if the terms of service are not agreed to."""
    if not directory.terms_of_service or settings.terms_of_service_agreed:
        return None
    return TermsNotAgreedError(
        f"{label} requires agreement to its terms of service",
        fix=f"read {clean(directory.terms_of_service, 1000)} and set "
        f"authorities.{settings.name}.terms_of_service_agreed: true",
    )


def binding_refusal(
    settings: AuthoritySettings, directory: Directory, label: str
) -> ExternalAccountRequiredError | None:
    """Return an error if a required external account binding (section 7.3.4) is missing."""
    if not directory.external_account_required or settings.external_account is not None:
        return None
    return ExternalAccountRequiredError(
        f"{label} requires external account binding (EAB)",
        fix=f"get a key from the CA and set authorities.{settings.name}.external_account",
    )


def profile_refusal(
    settings: AuthoritySettings, directory: Directory, label: str
) -> ProfileMissingError | None:
    """Return an error if a required profile is unavailable."""
    wanted = settings.profile
    if wanted is None or not wanted.required or wanted.name in directory.profiles:
        return None
    key = f"authorities.{settings.name}.profile"
    offered = ", ".join(sorted(directory.profiles))
    return ProfileMissingError(
        f"{label} has no profile {clean(wanted.name, 100)!r}",
        fix=f"set {key} to one of {clean(offered)}" if offered else f"remove {key}",
    )


def client_certificate(settings: AuthoritySettings) -> ClientCertificate | None:
    """Return the files of the client certificate for a CA; None without one."""
    if settings.client_certificate is None or settings.client_key is None:
        return None
    return ClientCertificate(settings.client_certificate, settings.client_key)


def presented_certificate(settings: AuthoritySettings) -> Certificate | None:
    """Return the client certificate for a CA, as its file is now; None if it cannot be read."""
    if settings.client_certificate is None:
        return None
    try:
        content = regular_files.read(settings.client_certificate)
    except OSError:
        return None
    return next(iter(find_readable([content])), None)
