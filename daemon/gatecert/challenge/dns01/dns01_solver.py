"""dns-01 and dns-account-01: publish a TXT record, wait for its propagation, withdraw it.

A record is entered in a journal on disk before it is published, and the entry is removed only after
the record was withdrawn. A crash at any point therefore leaves an entry, and the next
``remove_leftovers`` (at the start of the daemon and after every challenge) withdraws the record.
The same holds if the provider was unreachable when the record was to be withdrawn.

Two orders may need the same record, because an authority may reuse a pending authorization for both
(RFC 8555 section 7.1.3). Each then has its own entry, and the record is withdrawn with the last.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from typing import TYPE_CHECKING, Final, Protocol

from gatecert.challenge.dns01 import propagation
from gatecert.challenge.dns01.record import DNS_ACCOUNT_01, validation_name, validation_value
from gatecert.challenge.solver import Challenge
from gatecert.config.schema.challenge import Propagation
from gatecert.deadline import Deadline
from gatecert.errors import (
    ChallengeError,
    GatecertError,
    ProviderNotContactedError,
    RecordNotVisibleError,
    RecordRefusedError,
)
from gatecert.model import Identifier, IdentifierType, TextRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from gatecert.challenge.dns01.nameservers import Nameserver
    from gatecert.challenge.dns01.propagation import PropagationResult, TxtQuery
    from gatecert.challenge.dns01.provider import Provider
    from gatecert.challenge.dns01.zones import RecordLocation
    from gatecert.challenge.solver import SelfTest
    from gatecert.config.schema.challenge import Dns01Settings
    from gatecert.model import PublishedRecord
    from gatecert.store.protocol import RecordJournal

logger = logging.getLogger(__name__)

SELF_TEST_SECONDS: Final = 15.0  # for the propagation of a test record
TESTED_SECONDS: Final = 600.0  # for which a zone that took a record is not tested again
LOCK_COUNT: Final = 16  # records that can be changed at the same time


class ZoneFinder(Protocol):
    """Finds the zone of a record; implemented by ``zones.Zones``."""

    def locate(self, name: str) -> RecordLocation:
        """Find the name and zone of a record, following aliases."""
        ...

    def nameservers(self, zone: str) -> tuple[Nameserver, ...]:
        """Return every address of every nameserver of a zone."""
        ...


class Dns01Solver:
    """Answers dns-01 and dns-account-01; safe to use from several threads.

    Args:
        settings: The configured zone and the rules of propagation.
        provider: Changes the zone.
        zones: Finds the zone of a record.
        journal: Lists the records that have to be withdrawn.
        now: The wall clock, aware UTC.
        query: Queries one nameserver.
    """

    def __init__(  # noqa: PLR0913 - the solver's collaborators
        self,
        settings: Dns01Settings,
        provider: Provider,
        zones: ZoneFinder,
        journal: RecordJournal,
        now: Callable[[], datetime],
        *,
        query: TxtQuery = propagation.query_txt,
    ) -> None:
        self._settings = settings
        self._provider = provider
        self._zones = zones
        self._journal = journal
        self._now = now
        self._query = query
        self._presented: dict[Challenge, PublishedRecord] = {}
        self._last_published: dict[str, float] = {}  # of each zone that takes records, monotonic
        self._locks = tuple(threading.Lock() for _ in range(LOCK_COUNT))

    def present(self, challenge: Challenge) -> None:
        """Publish the record.

        Raises:
            RecordRefusedError: The record is refused.
            ChallengeError: It cannot be published; a record that may exist is withdrawn.
            ProviderNotContactedError: It cannot be published, and nothing was changed.
            StorageError: It cannot be entered in the journal, and so is not published.
        """
        record = self._record(challenge)
        with self._lock(record):
            published = self._journal.add_record(record, now=self._now())
            try:
                self._provider.publish(record)
            except (RecordRefusedError, ProviderNotContactedError):
                self._last_published.pop(record.zone, None)
                self._journal.remove_record(published)
                raise
            except BaseException:
                self._last_published.pop(record.zone, None)
                self._withdraw(published)
                raise
            self._last_published[record.zone] = time.monotonic()
            self._presented[challenge] = published
        logger.info("published name=%s zone=%s", record.name, record.zone)

    def wait(self, challenge: Challenge, deadline: Deadline) -> None:
        """Return once the nameservers of the zone answer with the record.

        Raises:
            RecordNotVisibleError: A nameserver does not, or none answers; names them.
            InterruptedOrderError: gatecert is stopping.
        """
        warning = self._wait_for_propagation(challenge, deadline)
        if warning:
            logger.warning("%s", warning)

    def seconds_until_visible(self) -> float:
        """Return how long ``wait`` takes at most."""
        return self._settings.propagation_timeout.total_seconds()

    def _wait_for_propagation(self, challenge: Challenge, deadline: Deadline) -> str:
        """Wait for the record's propagation; return a warning if nameservers were ignored."""
        published = self._presented.get(challenge)
        if published is None:
            raise ChallengeError(f"no record was published for {challenge.identifier}")
        record = published.record
        settings = self._settings
        deadline = deadline.sooner(settings.propagation_timeout.total_seconds())
        interval = settings.propagation_interval.total_seconds()
        if settings.propagation is Propagation.RECURSIVE:
            # A resolver that is queried too early caches that the record does not exist.
            deadline.wait(interval)
        result = propagation.poll_nameservers(
            self._zones.nameservers(record.zone),
            record.name,
            lambda texts: _problem(texts, record.value),
            deadline,
            longest_pause=interval,
            query=self._query,
        )
        if result.lagging:
            raise _not_visible(record, result, settings.propagation)
        if not result.passed_over:
            return ""
        return propagation.passed_over_warning(record.name, record.zone, result.passed_over)

    def wait_for_request(self, challenge: Challenge, seconds: float) -> bool:
        """Wait and return False: the authority's queries cannot be noticed."""
        del challenge
        threading.Event().wait(seconds)
        return False

    def clean_up(self, challenge: Challenge) -> None:
        """Withdraw the record and any leftovers; never raises."""
        published = self._presented.pop(challenge, None)
        if published is None:
            return
        with self._lock(published.record):
            others = self._withdraw(published)
        if others is not None:
            self._remove_abandoned(others)

    def test_records(self, test: SelfTest) -> tuple[str, ...]:
        """Publish and withdraw a test record for each name; check its propagation on request.

        A zone that has lately taken a record is not tested again, unless for propagation.

        Raises:
            ChallengeError: The record cannot be published.
            StorageError: It cannot be entered in the journal, and so is not published.
        """
        if test.type == DNS_ACCOUNT_01 and not test.account_url:
            return ("there is no ACME account yet; the record's name contains the account's label",)
        problems = []
        for domain in dict.fromkeys(name.removeprefix("*.") for name in test.names):
            token = secrets.token_urlsafe(32)
            challenge = Challenge(
                test.type,
                Identifier(IdentifierType.DNS, domain),
                token,
                f"{token}.try",
                test.account_url,
            )
            if not test.check_propagation and self._takes_records(challenge):
                continue
            self.present(challenge)
            try:
                if test.check_propagation:
                    deadline = Deadline.after(SELF_TEST_SECONDS)
                    problems.append(self._wait_for_propagation(challenge, deadline))
            except RecordNotVisibleError as error:
                problems.append(error.message)
            finally:
                self.clean_up(challenge)
        return tuple(filter(None, problems))

    def _takes_records(self, challenge: Challenge) -> bool:
        """Tell whether the zone of the record has lately taken one."""
        published = self._last_published.get(self._record(challenge).zone)
        return published is not None and time.monotonic() < published + TESTED_SECONDS

    def remove_leftovers(self) -> None:
        """Withdraw every record that no process uses any more; never raises."""
        try:
            entries = self._journal.records()
        except GatecertError as error:
            logger.warning("journal of records: %s", error)
            return
        self._remove_abandoned(entries)

    def _remove_abandoned(self, entries: Sequence[PublishedRecord]) -> None:
        for published in entries:
            if not published.abandoned:
                continue
            with self._lock(published.record):
                if self._withdraw(published) is None:
                    return  # the provider is unreachable: every other record would take as long
            logger.info("withdrew a leftover record name=%s", published.record.name)

    def _record(self, challenge: Challenge) -> TextRecord:
        """Return the record with its zone."""
        location = self._zones.locate(validation_name(challenge))
        name, zone = location.name, self._settings.zone or location.zone
        if name != zone and not name.endswith(f".{zone}"):
            raise RecordRefusedError(
                f"{name} is not in the zone {zone}",
                fix="correct challenges.dns-01.zone, or remove it",
            )
        return TextRecord(name, validation_value(challenge), zone)

    def _withdraw(self, published: PublishedRecord) -> Sequence[PublishedRecord] | None:
        """Withdraw a record unless another order needs it; never raises.

        Returns:
            The other entries of the journal; None if the record may still exist: its entry is then
            abandoned.
        """
        record = published.record
        try:
            others = [each for each in self._journal.records() if each.id != published.id]
            if not any(each.record == record and not each.abandoned for each in others):
                self._provider.withdraw(record)
            self._journal.remove_record(published)
        except GatecertError as error:
            logger.warning(
                "the record %s TXT %s may remain in the zone %s and is withdrawn later: %s",
                record.name, record.value, record.zone, error,
            )  # fmt: skip
            self._abandon(published)
            return None
        return others

    def _abandon(self, published: PublishedRecord) -> None:
        try:
            self._journal.abandon_record(published)
        except GatecertError as error:
            logger.warning("journal of records: %s", error)

    def _lock(self, record: TextRecord) -> threading.Lock:
        """Return the lock under which one thread decides whether a record is still needed."""
        return self._locks[hash(record) % LOCK_COUNT]


def _problem(texts: Sequence[str], value: str) -> str:
    if value in texts:
        return ""
    return "has other TXT records, but not this one" if texts else "does not have the record"


def _not_visible(
    record: TextRecord, result: PropagationResult, how: Propagation
) -> RecordNotVisibleError:
    answers = propagation.describe_answers(result.lagging)
    published = f"the record {record.name} was published in the zone {record.zone}, but"
    if how is Propagation.RECURSIVE:
        return RecordNotVisibleError(
            f"{published} not every resolver answers with it: {answers}",
            fix="raise challenges.dns-01.propagation_interval and propagation_timeout: a resolver "
            "that is queried too early caches the absence of the record for the zone's negative "
            "TTL (SOA); set follow_aliases: false if no alias delegates the challenge",
        )
    if not result.answered:
        return RecordNotVisibleError(
            f"{published} none of its nameservers gives a usable answer: {answers}",
            fix="allow this host to query them (UDP and TCP port 53), or, if it reaches only a "
            "resolver, set challenges.dns-01.propagation: recursive",
        )
    return RecordNotVisibleError(
        f"{published} not every nameserver answers with it: {answers}",
        fix="find out why that nameserver lags, or raise challenges.dns-01.propagation_timeout",
    )
