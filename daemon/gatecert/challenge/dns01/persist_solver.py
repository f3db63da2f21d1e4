"""dns-persist-01: check that the record that the operator has published is visible.

If the authority does not find the record, the order fails, and failed validations are rate-limited.
Every nameserver of the zone is therefore queried first, and the error names the record to publish.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Final

from gatecert.challenge.dns01 import persist_record, propagation
from gatecert.deadline import Deadline
from gatecert.errors import ChallengeError, RecordNotVisibleError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from gatecert.challenge.dns01.dns01_solver import ZoneFinder
    from gatecert.challenge.dns01.propagation import PropagationResult, TxtQuery
    from gatecert.challenge.solver import Challenge, SelfTest

logger = logging.getLogger(__name__)

WAIT_SECONDS: Final = 3.0  # for the propagation of a record that was just published
MAX_PAUSE: Final = 1.0  # seconds
RECURSIVE_HINT: Final = (
    "; if it is published already and this host reaches only a resolver, set "
    "challenges.dns-persist-01.propagation: recursive"
)


class PersistRecordChecker:
    """Checks that records for dns-persist-01 are visible.

    Args:
        zones: Finds the nameservers that have to answer with them.
        now: The wall clock, aware UTC.
        query: Queries one nameserver.
        wait_seconds: The time for the propagation of one record.
    """

    def __init__(
        self,
        zones: ZoneFinder,
        now: Callable[[], datetime],
        *,
        query: TxtQuery = propagation.query_txt,
        wait_seconds: float = WAIT_SECONDS,
    ) -> None:
        self.wait_seconds = wait_seconds
        self._zones = zones
        self._now = now
        self._query = query

    def poll(
        self, expected: persist_record.ExpectedRecord, deadline: Deadline, *, once: bool = False
    ) -> PropagationResult:
        """Query all nameservers until they answer with the record or the time is over.

        Args:
            expected: The required content of the record.
            deadline: The end of the time; each nameserver is queried at least once.
            once: Query each nameserver only once.

        Raises:
            ChallengeError: The nameservers cannot be found.
        """
        location = self._zones.locate(expected.name)
        result = propagation.poll_nameservers(
            self._zones.nameservers(location.zone),
            location.name,
            lambda texts: persist_record.record_problem(texts, expected, now=self._now()),
            deadline,
            longest_pause=MAX_PAUSE,
            once=once,
            query=self._query,
        )
        if result.passed_over:
            warning = propagation.passed_over_warning(
                location.name, location.zone, result.passed_over
            )
            logger.warning("%s", warning)
        return result

    def check(
        self,
        expected: Sequence[persist_record.ExpectedRecord],
        deadline: Deadline,
        *,
        once: bool = False,
    ) -> None:
        """Check that records are visible.

        Raises:
            RecordNotVisibleError: One of them is not; names the record to publish.
            ChallengeError: The nameservers cannot be found.
        """
        problems, lines, answered = [], [], True
        for each in expected:
            result = self.poll(each, deadline.sooner(self.wait_seconds), once=once)
            answered = answered and result.answered
            if result.lagging:
                answers = "; ".join(
                    f"{answer.nameserver}: {answer.problem}" for answer in result.lagging
                )
                problems.append(f"dns-persist-01 cannot validate {each.domain}: {answers}")
                lines.append(each.zone_line())
        if problems:
            raise RecordNotVisibleError(
                "; ".join(problems),
                fix=f"publish {' and '.join(lines)}{'' if answered else RECURSIVE_HINT}",
            )


class DnsPersist01Solver:
    """Answers dns-persist-01; safe to use from several threads."""

    def __init__(self, records: PersistRecordChecker) -> None:
        self._records = records

    def present(self, challenge: Challenge) -> None:
        """Check the challenge; nothing is published.

        Raises:
            ChallengeError: It contains no issuer domain name, or too many.
        """
        _expected(challenge)

    def wait(self, challenge: Challenge, deadline: Deadline) -> None:
        """Check that the record is visible.

        Raises:
            RecordNotVisibleError: It is not; names the record to publish.
        """
        self._records.check([_expected(challenge)], deadline)

    def seconds_until_visible(self) -> float:
        """Return how long ``wait`` takes at most."""
        return self._records.wait_seconds

    def wait_for_request(self, challenge: Challenge, seconds: float) -> bool:
        """Wait and return False: the authority's queries cannot be noticed."""
        del challenge
        threading.Event().wait(seconds)
        return False

    def clean_up(self, challenge: Challenge) -> None:
        """Do nothing: the record stays."""

    def test_records(self, test: SelfTest) -> tuple[str, ...]:
        """Check that the record of each name is visible, whatever ``check_propagation`` is.

        Raises:
            RecordNotVisibleError: One of them is not; names the record to publish.
            ChallengeError: There is no ACME account yet.
        """
        if not test.issuers:
            return ("the CA's directory contains no issuer domain name (caaIdentities)",)
        if not test.account_url:
            raise ChallengeError(
                "there is no ACME account yet, and the dns-persist-01 record has to name it",
                fix=f"gatecert dns-record {test.gateway} registers one and prints the record",
            )
        expected = persist_record.expected_records(test.names, test.issuers, test.account_url)
        self._records.check(
            expected, Deadline.after(self._records.wait_seconds * len(expected)), once=True
        )
        return ()


def _expected(challenge: Challenge) -> persist_record.ExpectedRecord:
    issuers = challenge.issuer_domain_names
    if not 0 < len(issuers) <= persist_record.MAX_ISSUERS or not challenge.account_url:
        raise ChallengeError(
            f"the CA's dns-persist-01 challenge for {challenge.identifier} is invalid: it contains "
            f"{len(issuers)} issuer domain names",
            fix="use another challenge for this gateway",
        )
    domain = challenge.identifier.value
    return persist_record.ExpectedRecord(
        domain.removeprefix("*."),
        issuers,
        challenge.account_url,
        wildcard=challenge.wildcard or domain.startswith("*."),
    )
