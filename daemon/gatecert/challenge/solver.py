"""The interface of challenge solvers (RFC 8555 section 8)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from gatecert.model import Identifier

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatecert.deadline import Deadline


@dataclass(frozen=True, slots=True)
class Challenge:
    """A challenge of an authorization.

    Attributes:
        type: ``http-01``, ``dns-01`` …
        identifier: Without ``*.``.
        token: Checked base64url text (CVE-2026-40611): letters, digits, ``-`` and ``_`` only;
            empty for types without a token.
        key_authorization: RFC 8555 section 8.1; empty without a token.
        account_url: The ACME account; dns-account-01 and dns-persist-01 are bound to it.
        wildcard: Whether the authorization is for the wildcard below the name.
        issuer_domain_names: The authority's names in dns-persist-01 records.
    """

    type: str
    identifier: Identifier
    token: str
    key_authorization: str = field(repr=False)
    account_url: str = ""
    wildcard: bool = False
    issuer_domain_names: tuple[str, ...] = ()


class Solver(Protocol):
    """Presents responses to one challenge type, for any number of gateways at once.

    A challenge takes these calls in order: present, wait, (the authority is told),
    wait_for_request, clean_up.
    """

    def present(self, challenge: Challenge) -> None:
        """Make the response available.

        Raises:
            ChallengeError: The response cannot be presented; nothing is left behind.
        """
        ...

    def wait(self, challenge: Challenge, deadline: Deadline) -> None:
        """Return once the authority can see the response.

        Raises:
            ChallengeError: The response was not visible at the deadline.
        """
        ...

    def wait_for_request(self, challenge: Challenge, seconds: float) -> bool:
        """Wait at most ``seconds`` for the authority's request; return True once it came.

        A solver that cannot notice the request waits and returns False.
        """
        ...

    def clean_up(self, challenge: Challenge) -> None:
        """Remove the response; called however the validation ended; never raises."""
        ...


@runtime_checkable
class SelfTestingSolver(Protocol):
    """A solver that can test, without an authority, whether it can present a response."""

    def self_test(self, names: Sequence[str] = ()) -> tuple[str, ...]:
        """Present a test response and remove it again.

        Args:
            names: DNS names to fetch it by, as an authority would; empty: only present it.

        Returns:
            Problems, one line each, that need not make a validation fail; empty if there are none.

        Raises:
            ChallengeError: The response cannot be presented; a validation would fail.
            StorageError: The response cannot be stored.
        """
        ...


@dataclass(frozen=True, slots=True)
class SelfTest:
    """Parameters of a test of a solver for TXT records.

    Attributes:
        type: ``dns-01`` …
        gateway: The gateway's name in the configuration.
        names: DNS names to validate, including wildcards.
        account_url: The ACME account; empty if there is none yet.
        issuers: The authority's issuer domain names.
        check_propagation: Whether to check that all nameservers answer with the record.
    """

    type: str
    gateway: str
    names: tuple[str, ...]
    account_url: str = ""
    issuers: tuple[str, ...] = ()
    check_propagation: bool = False


@runtime_checkable
class RecordTester(Protocol):
    """A solver for TXT records that can test, without an authority, whether it will succeed."""

    def test_records(self, test: SelfTest) -> tuple[str, ...]:
        """Answer for each name as for a request of the authority, and leave nothing behind.

        Returns:
            Problems, one line each, that need not make a validation fail.

        Raises:
            ChallengeError: A validation would fail.
            StorageError: A published record cannot be entered in the journal.
        """
        ...


@runtime_checkable
class SlowSolver(Protocol):
    """A solver whose responses take time to become visible."""

    def seconds_until_visible(self) -> float | None:
        """Return how long ``wait`` takes at most; None if a response is visible at once."""
        ...


@runtime_checkable
class LeftoverCleaner(Protocol):
    """A solver whose responses can outlive the process."""

    def remove_leftovers(self) -> None:
        """Remove responses left by a crash or an unreachable provider; never raises."""
        ...
