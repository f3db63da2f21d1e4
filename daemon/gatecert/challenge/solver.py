"""What every challenge type has to be able to do (RFC 8555 section 8)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from gatecert.model import Identifier

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatecert.deadline import Deadline


@dataclass(frozen=True, slots=True)
class Challenge:
    """One challenge of one authorization.

    Attributes:
        type: ``http-01``, ``dns-01`` …
        identifier: Without ``*.``.
        token: base64url text, checked (CVE-2026-40611): letters, digits, ``-`` and ``_`` only;
            empty for the types that have none.
        key_authorization: RFC 8555 section 8.1; empty where there is no token.
        account_url: The account that asks; dns-account-01 and dns-persist-01 are bound to it.
        wildcard: Whether control is shown for the wildcard below the name.
        issuer_domain_names: How the authority calls itself in dns-persist-01 records.
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

    The order of calls for a challenge is present, wait, (the authority is told), seen, clean_up.
    """

    def present(self, challenge: Challenge) -> None:
        """Make the response available.

        Raises:
            ChallengeError: It cannot be; nothing is left behind.
        """
        ...

    def wait(self, challenge: Challenge, deadline: Deadline) -> None:
        """Return once the authority will be able to see the response.

        Raises:
            ChallengeError: It was still not visible at the deadline.
        """
        ...

    def wait_for_request(self, challenge: Challenge, seconds: float) -> bool:
        """Wait at most ``seconds`` for the authority to look; True as soon as it has.

        A solver that cannot tell waits and returns False.
        """
        ...

    def clean_up(self, challenge: Challenge) -> None:
        """Take the response away again; called however the validation ended, never raises."""
        ...


@runtime_checkable
class SelfTestingSolver(Protocol):
    """A solver that can try out, without any authority, what presenting a response needs."""

    def self_test(self, names: Sequence[str] = ()) -> tuple[str, ...]:
        """Present a response that nobody asked for, and take it away again.

        Args:
            names: DNS names to fetch it by, as an authority would; with none, it is only presented.

        Returns:
            What is suspicious, one line each, though no authority may mind; empty if nothing is.

        Raises:
            ChallengeError: It cannot be presented, so that a validation is certain to fail.
            StorageError: It cannot be kept.
        """
        ...


@dataclass(frozen=True, slots=True)
class SelfTest:
    """What to try out with a solver that answers by TXT records.

    Attributes:
        type: ``dns-01`` …
        gateway: Its name in the configuration.
        names: DNS names that control is to be shown over, wildcards too.
        account_url: The account that will ask; empty where there is none yet.
        issuers: How the authority calls itself.
        look: Whether to see that nameservers answer with the record, too.
    """

    type: str
    gateway: str
    names: tuple[str, ...]
    account_url: str = ""
    issuers: tuple[str, ...] = ()
    look: bool = False


@runtime_checkable
class RecordTester(Protocol):
    """A solver by TXT records that can try out, without any authority, whether it will succeed."""

    def test_records(self, trial: SelfTest) -> tuple[str, ...]:
        """Answer for each name as if an authority had asked, and leave nothing behind.

        Returns:
            What is suspicious, one line each, though a validation may succeed.

        Raises:
            ChallengeError: A validation is certain to fail.
            StorageError: What was published cannot be written down.
        """
        ...


@runtime_checkable
class LeftoverCleaner(Protocol):
    """A solver whose responses stand somewhere that outlives this process."""

    def remove_leftovers(self) -> None:
        """Take away what a crash, or a provider that was out of reach, left; never raises."""
        ...
