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
from typing import TYPE_CHECKING, Final, Protocol

from gatecert.challenge.dns01 import propagation
from gatecert.challenge.dns01.record import DNS_ACCOUNT_01, validation_name, validation_value
from gatecert.challenge.solver import Challenge
from gatecert.config.schema.challenge import Propagation
from gatecert.deadline import Deadline
from gatecert.errors import (
    ChallengeError,
    GatecertError,
    InterruptedOrderError,
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

SELF_TEST_SECONDS: Final = 15.0  # seconds that nameservers get for a record of no use
LOCK_COUNT: Final = 16  # records that can be changed at the same time


class ZoneFinder(Protocol):
    """Finds out where a record has to go; ``zones.Zones`` is the one that asks nameservers."""

    def locate(self, name: str) -> RecordLocation:
        """Where a record for a name has to go."""
        ...

    def nameservers(self, zone: str) -> tuple[Nameserver, ...]:
        """Every address of every nameserver of a zone."""
        ...


class Dns01Solver:
    """Answers dns-01 and dns-account-01; safe to use from several threads.

    Args:
        settings: The zone, where it is not to be found out, who has to see a record, and how soon.
        provider: Changes the zone.
        zones: Finds out where a record has to go.
        journal: Remembers what has to be withdrawn.
        now: The wall clock, aware UTC.
        query: Queries one nameserver.
    """

    def __init__(  # noqa: PLR0913 - each of them is another room of the application
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
        self._locks = tuple(threading.Lock() for _ in range(LOCK_COUNT))

    def present(self, challenge: Challenge) -> None:
        """Publish the record.

        Raises:
            RecordRefusedError: It is not to be had.
            ChallengeError: It cannot be published; what may have been is withdrawn.
            ProviderNotContactedError: The same, and nothing was published.
            StorageError: It cannot be written down, and so is not published.
        """
        record = self._record(challenge)
        with self._lock(record):
            published = self._journal.add_record(record, now=self._now())
            try:
                self._provider.publish(record)
            except (RecordRefusedError, ProviderNotContactedError):
                self._journal.remove_record(published)
                raise
            except BaseException:
                self._withdraw(published)
                raise
            self._presented[challenge] = published
        logger.info("published name=%s zone=%s", record.name, record.zone)

    def wait(self, challenge: Challenge, deadline: Deadline) -> None:
        """Return once the record can be seen at the nameservers of the zone.

        Raises:
            RecordNotVisibleError: One of them is still wrong, or none answers; names it.
            InterruptedOrderError: gatecert is stopping.
        """
        doubtful = self._look(challenge, deadline)
        if doubtful:
            logger.warning("%s", doubtful)

    def _look(self, challenge: Challenge, deadline: Deadline) -> str:
        """Wait until the record can be seen; say which nameservers were passed over, if any."""
        published = self._presented.get(challenge)
        if published is None:
            raise ChallengeError(f"no record was published for {challenge.identifier}")
        record = published.record
        settings = self._settings
        deadline = deadline.sooner(settings.propagation_timeout.total_seconds())
        interval = settings.propagation_interval.total_seconds()
        if settings.propagation is Propagation.RECURSIVE:
            # Asked too early, a resolver keeps in mind that the record does not exist.
            deadline.wait(interval)
        seen = propagation.poll_nameservers(
            self._zones.nameservers(record.zone),
            record.name,
            lambda texts: _fault(texts, record.value),
            deadline,
            longest_pause=interval,
            query=self._query,
        )
        if seen.lagging and deadline.interrupted:
            raise InterruptedOrderError("gatecert is stopping; the order goes on at the next start")
        if seen.lagging:
            raise _not_visible(record, seen, settings.propagation)
        if not seen.passed_over:
            return ""
        return propagation.passed_over_warning(record.name, record.zone, seen.passed_over)

    def wait_for_request(self, challenge: Challenge, seconds: float) -> bool:
        """Nobody can tell when the authority has asked; waits and returns False."""
        del challenge
        threading.Event().wait(seconds)
        return False

    def clean_up(self, challenge: Challenge) -> None:
        """Withdraw the record, and what else was left; never raises."""
        published = self._presented.pop(challenge, None)
        if published is None:
            return
        with self._lock(published.record):
            withdrawn = self._withdraw(published)
        if withdrawn:
            self.remove_leftovers()

    def test_records(self, trial: SelfTest) -> tuple[str, ...]:
        """Publish a record of no use for each name, look for it if asked to, and withdraw it.

        Raises:
            ChallengeError: It cannot be published.
            StorageError: It cannot be written down, and so is not published.
        """
        if trial.type == DNS_ACCOUNT_01 and not trial.account_url:
            return ("there is no account yet, whose label stands in the record's name",)
        complaints = []
        for domain in dict.fromkeys(name.removeprefix("*.") for name in trial.names):
            token = secrets.token_urlsafe(32)
            challenge = Challenge(
                trial.type,
                Identifier(IdentifierType.DNS, domain),
                token,
                f"{token}.try",
                trial.account_url,
            )
            self.present(challenge)
            try:
                if trial.check_propagation:
                    complaints.append(self._look(challenge, Deadline.after(SELF_TEST_SECONDS)))
            except RecordNotVisibleError as error:
                complaints.append(error.message)
            finally:
                self.clean_up(challenge)
        return tuple(filter(None, complaints))

    def remove_leftovers(self) -> None:
        """Withdraw every record that nobody works with any more; never raises."""
        for published in self._entries():
            if not published.abandoned:
                continue
            with self._lock(published.record):
                if not self._withdraw(published):
                    return  # the provider is out of reach: the others would only take as long
            logger.info("withdrew what was left behind name=%s", published.record.name)

    def _record(self, challenge: Challenge) -> TextRecord:
        """The record and where it goes."""
        place = self._zones.locate(validation_name(challenge))
        name, zone = place.name, self._settings.zone or place.zone
        if name != zone and not name.endswith(f".{zone}"):
            raise RecordRefusedError(
                f"{name} does not lie in the zone {zone}",
                fix="correct challenges.dns-01.zone, or leave it out",
            )
        return TextRecord(name, validation_value(challenge), zone)

    def _withdraw(self, published: PublishedRecord) -> bool:
        """Withdraw a record unless somebody else still needs it; never raises.

        Returns:
            False where it may still stand; it is then left to whoever comes next.
        """
        record = published.record
        try:
            if not self._is_shared(published):
                self._provider.withdraw(record)
            self._journal.remove_record(published)
        except GatecertError as error:
            logger.warning(
                "the record %s TXT %s may stand in the zone %s for now, and is withdrawn later: %s",
                record.name, record.value, record.zone, error,
            )  # fmt: skip
            self._abandon(published)
            return False
        return True

    def _abandon(self, published: PublishedRecord) -> None:
        try:
            self._journal.abandon_record(published)
        except GatecertError as error:
            logger.warning("journal of records: %s", error)

    def _is_shared(self, published: PublishedRecord) -> bool:
        return any(
            other.record == published.record and other.id != published.id and not other.abandoned
            for other in self._journal.records()
        )

    def _entries(self) -> tuple[PublishedRecord, ...]:
        try:
            return self._journal.records()
        except GatecertError as error:
            logger.warning("journal of records: %s", error)
            return ()

    def _lock(self, record: TextRecord) -> threading.Lock:
        """One thread at a time decides whether a record is still needed."""
        return self._locks[hash(record) % LOCK_COUNT]


def _fault(texts: Sequence[str], value: str) -> str:
    if value in texts:
        return ""
    return "has other records there, but not this one" if texts else "does not have it"


def _not_visible(
    record: TextRecord, seen: PropagationResult, how: Propagation
) -> RecordNotVisibleError:
    said = propagation.describe_answers(seen.lagging)
    published = f"the record {record.name} was published in the zone {record.zone}, but"
    if how is Propagation.RECURSIVE:
        return RecordNotVisibleError(
            f"{published} not every resolver answers with it: {said}",
            fix="raise challenges.dns-01.propagation_interval and propagation_timeout: a resolver "
            "that is asked too early caches the absence of the record for the zone's negative TTL "
            "(SOA); set follow_aliases: false where no alias delegates the challenge",
        )
    if not seen.heard:
        return RecordNotVisibleError(
            f"{published} none of its nameservers gives an answer that can be used: {said}",
            fix="see that this host may ask them (UDP and TCP port 53), or, where only a resolver "
            "can be asked from here, set challenges.dns-01.propagation: recursive",
        )
    return RecordNotVisibleError(
        f"{published} not every nameserver answers with it: {said}",
        fix="see why that nameserver lags behind, or raise challenges.dns-01.propagation_timeout",
    )
