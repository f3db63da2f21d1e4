"""Where: what the names of a gateway lead to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class ResolutionKind(StrEnum):
    """How looking up a name ended, best first."""

    HERE = "here"
    BEHIND_NAT = "behind-nat"  # only private addresses on this host: a public answer has to do
    ELSEWHERE = "elsewhere"
    NO_ADDRESS = "no-address"
    NO_SUCH_NAME = "no-such-name"
    SERVER_FAILURE = "server-failure"
    TIMEOUT = "timeout"

    @property
    def is_here(self) -> bool:
        """Whether who connects to the name finds this gateway, as far as that can be known."""
        return self in {ResolutionKind.HERE, ResolutionKind.BEHIND_NAT}

    @property
    def is_unknown(self) -> bool:
        """Whether nothing is known of where the name points, neither right nor wrong."""
        return self in {ResolutionKind.SERVER_FAILURE, ResolutionKind.TIMEOUT}


@dataclass(frozen=True, slots=True)
class NameResolution:
    """What one name resolves to.

    Attributes:
        answers: Every address found, canonical text.
        wrong: Those of them that are not the gateway's.
        time_to_live: Smallest TTL seen on the way (negative answers: RFC 2308), None if unknown.
        detail: One line for the operator.
        required: Whether validation needs the name to point here; dns-* challenges do not.
        warning: What could not be looked up beside right addresses; empty where nothing failed.
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
        """Whether an order may be placed as far as this name is concerned."""
        return not self.required or self.kind.is_here


@dataclass(frozen=True, slots=True)
class Resolution:
    """What all DNS names of a gateway resolve to.

    Attributes:
        expected: The gateway's own addresses, canonical text; empty behind NAT.
    """

    at: datetime
    names: tuple[NameResolution, ...]
    expected: tuple[str, ...] = ()

    @property
    def points_here(self) -> bool:
        """Whether an order may be placed: every name that has to points at the gateway."""
        return all(name.points_here for name in self.names)

    def allows_order(self, *, renewing: bool) -> bool:
        """Whether an order may be placed.

        A name that is known to point elsewhere, or to have no address, holds every order back. One
        that cannot be looked up at all holds back the first order only: an authority has validated
        the names of a renewal before, and a resolver that is down must not let their certificate
        end.

        Args:
            renewing: Whether the order is for the names of the certificate in use.
        """
        return all(name.points_here or (renewing and name.kind.is_unknown) for name in self.names)

    @property
    def warning(self) -> str:
        """One line: what could not be looked up of names that point here; empty if nothing."""
        return "; ".join(name.warning for name in self.names if name.warning)

    @property
    def detail(self) -> str:
        """One line: what is wrong, or that all is right."""
        wrong = [name.detail for name in self.names if not name.points_here]
        return "; ".join(wrong or [name.detail for name in self.names])

    @property
    def kind(self) -> ResolutionKind:
        """How the worst of the names that have to point here ended."""
        required = [name.kind for name in self.names if name.required]
        return max(required, key=list(ResolutionKind).index, default=ResolutionKind.HERE)

    @property
    def time_to_live(self) -> timedelta | None:
        """The smallest TTL of all names."""
        known = [name.time_to_live for name in self.names if name.time_to_live is not None]
        return min(known, default=None)
