"""Resolution: the addresses that the names of a gateway resolve to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class ResolutionKind(StrEnum):
    """The result of looking up a name, best first."""

    HERE = "here"
    BEHIND_NAT = "behind-nat"  # only private addresses on this host, so any public answer counts
    ELSEWHERE = "elsewhere"
    NO_ADDRESS = "no-address"
    NO_SUCH_NAME = "no-such-name"
    SERVER_FAILURE = "server-failure"
    TIMEOUT = "timeout"

    @property
    def is_here(self) -> bool:
        """True if the name points to this gateway, as far as that can be known."""
        return self in {ResolutionKind.HERE, ResolutionKind.BEHIND_NAT}

    @property
    def is_unknown(self) -> bool:
        """True if it is not known where the name points."""
        return self in {ResolutionKind.SERVER_FAILURE, ResolutionKind.TIMEOUT}


@dataclass(frozen=True, slots=True)
class NameResolution:
    """The addresses that one name resolves to.

    Attributes:
        answers: Every address found, canonical text.
        wrong: The answers that are not the gateway's addresses.
        time_to_live: Smallest TTL of the answers (negative answers: RFC 2308), None if unknown.
        detail: One line for the operator.
        required: Whether validation needs the name to point here; dns-* challenges do not.
        warning: Look-ups that failed although the addresses found are right; empty if none.
    """

    name: str
    kind: ResolutionKind
    answers: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()
    time_to_live: timedelta | None = None
    detail: str = ""
    required: bool = True
    warning: str = ""

    @property
    def points_here(self) -> bool:
        """True if this name allows an order."""
        return not self.required or self.kind.is_here


@dataclass(frozen=True, slots=True)
class Resolution:
    """The addresses that all DNS names of a gateway resolve to.

    Attributes:
        expected: The gateway's own addresses, canonical text; empty behind NAT.
        unchanged_since: When a look-up first had this result, with every name pointing here and no
            failure; None otherwise.
    """

    at: datetime
    names: tuple[NameResolution, ...]
    expected: tuple[str, ...] = ()
    unchanged_since: datetime | None = None

    @property
    def points_here(self) -> bool:
        """True if every name that must point to the gateway does."""
        return all(name.points_here for name in self.names)

    def allows_order(self, *, renewing: bool) -> bool:
        """Check whether an order may be placed.

        A name that points elsewhere or has no address prevents every order. A failed look-up
        prevents only the first order: a CA has validated the names of a renewal before, and a
        broken resolver must not let their certificate expire.

        Args:
            renewing: Whether the order is for the names of the certificate in use.
        """
        return all(name.points_here or (renewing and name.kind.is_unknown) for name in self.names)

    @property
    def warning(self) -> str:
        """One line: the failed look-ups of names that point here; empty if none."""
        return "; ".join(name.warning for name in self.names if name.warning)

    @property
    def detail(self) -> str:
        """One line: what is wrong, or else that the names point here."""
        wrong = [name.detail for name in self.names if not name.points_here]
        return "; ".join(wrong or [name.detail for name in self.names])

    @property
    def kind(self) -> ResolutionKind:
        """The worst result of the names that must point here."""
        required = [name.kind for name in self.names if name.required]
        return max(required, key=list(ResolutionKind).index, default=ResolutionKind.HERE)

    @property
    def time_to_live(self) -> timedelta | None:
        """The smallest TTL of all names."""
        known = [name.time_to_live for name in self.names if name.time_to_live is not None]
        return min(known, default=None)
