"""What can be known of an authority before anything is ordered from it.

One look at its directory (RFC 8555 section 7.1.1) tells whether it can be reached, what time it is
there, how it calls itself in CAA records, whether it wants its terms agreed to or an account bound,
and which profiles it has. Nothing is spent by looking: no account, no order, no nonce.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from gatecert.errors import (
    ExternalAccountRequiredError,
    ProfileMissingError,
    TermsNotAgreedError,
    clean,
)

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from gatecert.acme.rate_limits import RemainingAllowance
    from gatecert.acme.resources import Directory
    from gatecert.config.schema.authority import AuthoritySettings


@dataclass(frozen=True, slots=True)
class DirectoryReport:
    """One authority, as it presents itself.

    Attributes:
        name: Its name in the configuration.
        label: How messages call it.
        clock_ahead: How far this machine's clock is ahead of the authority's; None if it gave no
            time.
        identities: Its issuer domain names in CAA records; empty if it does not say.
        account_url: Our account there, empty if there is none yet.
        refusal: Why no account can be made there; None where nothing stands against it.
        profile: The profile that is asked for, empty if none is.
        profile_refusal: Why it is not to be had; None where it is, or need not be.
    """

    name: str
    label: str
    clock_ahead: timedelta | None = None
    identities: tuple[str, ...] = ()
    account_url: str = ""
    refusal: TermsNotAgreedError | ExternalAccountRequiredError | None = None
    profile: str = ""
    profile_refusal: ProfileMissingError | None = None


class DirectorySource(Protocol):
    """An authority that can be looked at; ``issue.Issuer`` is the one that speaks ACME."""

    def check_directory(self, cancelled: threading.Event | None = None) -> DirectoryReport:
        """Look at its directory.

        Raises:
            AuthorityError: It cannot be reached, or is no ACME authority.
        """
        ...


class RateLimitedAuthority(DirectorySource, Protocol):
    """One that counts what is asked of it."""

    def remaining_limits(
        self, names: Sequence[str], now: Callable[[], datetime], lifetime: timedelta | None = None
    ) -> tuple[RemainingAllowance, ...]:
        """What is left of its limits for an order of these names.

        Raises:
            StorageError: That cannot be read.
        """
        ...


def terms_refusal(
    settings: AuthoritySettings, directory: Directory, label: str
) -> TermsNotAgreedError | None:
    """Why no account may be made without the operator; None where the terms are agreed to."""
    if not directory.terms_of_service or settings.terms_of_service_agreed:
        return None
    return TermsNotAgreedError(
        f"{label} makes no account unless you agree to its terms of service",
        fix=f"read {clean(directory.terms_of_service, 1000)} and set "
        f"authorities.{settings.name}.terms_of_service_agreed: true",
    )


def binding_refusal(
    settings: AuthoritySettings, directory: Directory, label: str
) -> ExternalAccountRequiredError | None:
    """Why no account can be made without a binding (section 7.3.4); None where none is missing."""
    if not directory.external_account_required or settings.external_account is not None:
        return None
    return ExternalAccountRequiredError(
        f"{label} makes accounts only for those it knows already",
        fix=f"get a key from it and set authorities.{settings.name}.external_account",
    )


def profile_refusal(
    settings: AuthoritySettings, directory: Directory, label: str
) -> ProfileMissingError | None:
    """Why the required profile is not to be had; None where it is, or none is required."""
    wanted = settings.profile
    if wanted is None or not wanted.required or wanted.name in directory.profiles:
        return None
    key = f"authorities.{settings.name}.profile"
    offered = ", ".join(sorted(directory.profiles))
    return ProfileMissingError(
        f"{label} has no profile {clean(wanted.name, 100)!r}",
        fix=f"set {key} to one of {clean(offered)}" if offered else f"remove {key}",
    )
