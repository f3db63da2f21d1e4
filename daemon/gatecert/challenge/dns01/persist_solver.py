"""dns-persist-01: nothing is published; the record stands, and is looked for beforehand.

An authority that does not find the record makes the order fail, and failed validations are
limited. So every nameserver of the zone is asked first, and the error names the record to publish.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Final

from gatecert.challenge.dns01 import persist_record, propagation
from gatecert.deadline import Deadline
from gatecert.errors import ChallengeError, InterruptedOrderError, RecordNotVisibleError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from gatecert.challenge.dns01.dns01_solver import ZoneFinder
    from gatecert.challenge.dns01.propagation import PropagationResult, TxtQuery
    from gatecert.challenge.solver import Challenge, SelfTest

logger = logging.getLogger(__name__)

WAIT_SECONDS: Final = 3.0  # seconds until a record that was just published has to be everywhere
MAX_PAUSE: Final = 1.0  # seconds
RECURSIVE_HINT: Final = (
    "; where it stands already and only a resolver can be asked from here, set "
    "challenges.dns-persist-01.propagation: recursive"
)


class PersistRecordChecker:
    """Looks whether records for dns-persist-01 are there.

    Args:
        zones: Finds the nameservers that have to answer with them.
        now: The wall clock, aware UTC.
        query: Queries one nameserver.
    """

    def __init__(
        self,
        zones: ZoneFinder,
        now: Callable[[], datetime],
        *,
        query: TxtQuery = propagation.query_txt,
    ) -> None:
        self._zones = zones
        self._now = now
        self._query = query

    def look(
        self, wanted: persist_record.ExpectedRecord, deadline: Deadline, *, once: bool = False
    ) -> PropagationResult:
        """Where the record can be seen, and which nameservers do not answer with it.

        Args:
            wanted: What the record has to say.
            deadline: How long they may take to come to have it; they are asked once at least.
            once: Ask no second time.

        Raises:
            ChallengeError: The nameservers cannot be found.
        """
        place = self._zones.locate(persist_record.validation_name(wanted.domain))
        seen = propagation.poll_nameservers(
            self._zones.nameservers(place.zone),
            place.name,
            lambda texts: persist_record.record_problem(texts, wanted, now=self._now()),
            deadline,
            longest_pause=MAX_PAUSE,
            once=once,
            query=self._query,
        )
        if seen.passed_over:
            logger.warning(
                "%s", propagation.passed_over_warning(place.name, place.zone, seen.passed_over)
            )
        return seen

    def check(
        self,
        wanted: Sequence[persist_record.ExpectedRecord],
        deadline: Deadline,
        *,
        once: bool = False,
    ) -> None:
        """See that records are there.

        Raises:
            RecordNotVisibleError: One of them is not; says what to publish.
            ChallengeError: The nameservers cannot be found.
        """
        faults, lines, heard = [], [], True
        for each in wanted:
            seen = self.look(each, deadline.sooner(WAIT_SECONDS), once=once)
            if seen.lagging and deadline.interrupted:
                raise InterruptedOrderError(
                    "gatecert is stopping; the order goes on at the next start"
                )
            heard = heard and seen.heard
            if seen.lagging:
                said = "; ".join(
                    f"{answer.nameserver}: {answer.complaint}" for answer in seen.lagging
                )
                faults.append(f"dns-persist-01 cannot show control over {each.domain}: {said}")
                lines.append(each.record.zone_line)
        if faults:
            raise RecordNotVisibleError(
                "; ".join(faults),
                fix=f"publish {' and '.join(lines)}{'' if heard else RECURSIVE_HINT}",
            )


class DnsPersist01Solver:
    """Answers dns-persist-01; safe to use from several threads."""

    def __init__(self, records: PersistRecordChecker) -> None:
        self._records = records

    def present(self, challenge: Challenge) -> None:
        """Nothing to publish; see that the challenge makes sense.

        Raises:
            ChallengeError: It names no issuer, or more than a record could be for.
        """
        _wanted(challenge)

    def wait(self, challenge: Challenge, deadline: Deadline) -> None:
        """See that the record is there.

        Raises:
            RecordNotVisibleError: It is not; says what to publish.
        """
        self._records.check([_wanted(challenge)], deadline)

    def wait_for_request(self, challenge: Challenge, seconds: float) -> bool:
        """Nobody can tell when the authority has asked; waits and returns False."""
        del challenge
        threading.Event().wait(seconds)
        return False

    def clean_up(self, challenge: Challenge) -> None:
        """Leave the record where it is."""

    def test_records(self, trial: SelfTest) -> tuple[str, ...]:
        """See that the record of each name is there, whether or not that is asked for.

        Raises:
            RecordNotVisibleError: One of them is not; says what to publish.
            ChallengeError: Nobody can know yet what to publish.
        """
        if not trial.issuers:
            return ("the authority does not say how it calls itself in records",)
        if not trial.account_url:
            raise ChallengeError(
                "there is no account yet, which the record for dns-persist-01 has to name",
                fix=f"gatecert dns-record {trial.gateway} makes one and prints what to publish",
            )
        wanted = persist_record.expected_records(trial.names, trial.issuers, trial.account_url)
        self._records.check(wanted, Deadline.after(WAIT_SECONDS * len(wanted)), once=True)
        return ()


def _wanted(challenge: Challenge) -> persist_record.ExpectedRecord:
    issuers = challenge.issuer_domain_names
    if not 0 < len(issuers) <= persist_record.MAX_ISSUERS or not challenge.account_url:
        raise ChallengeError(
            f"the authority's dns-persist-01 challenge for {challenge.identifier} makes no sense: "
            f"it names {len(issuers)} issuers",
            fix="use another kind of challenge for this gateway",
        )
    domain = challenge.identifier.value
    return persist_record.ExpectedRecord(
        domain.removeprefix("*."),
        issuers,
        challenge.account_url,
        wildcard=challenge.wildcard or domain.startswith("*."),
    )
