"""The states of a host's store: a part of each is shared, in a row, and the rest is in a file.

Without the database, the state of enrolment is the one that this host has seen last, with what it
has learnt since; versions are the local ones, and nothing can be ordered. A damaged state in the
rows means the same, for its gateway alone. A file of the gateway has the state that was seen last:
what was learnt counts, in a later process too, if the rows still have that one.

That the newest certificate is revoked counts in any case: this host's file has it, and it is added
to what the rows say until one of its next writes has brought it there.
"""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from gatecert.errors import DatabaseError, EnrolmentDamagedError, StorageError
from gatecert.model import EnrolmentState
from gatecert.store import durable, json_record
from gatecert.store.postgres import enrolment_rows, version_rows
from gatecert.store.postgres.fleet_leases import FleetLeases

if TYPE_CHECKING:
    from pathlib import Path

    from gatecert.model import GatewayState
    from gatecert.store.postgres.fleet_leases import FleetAccess

logger = logging.getLogger(__name__)


class FleetStates(FleetLeases):
    """Files and rows of states; see ``store.protocol.Store``."""

    def __init__(self, state_directory: Path, access: FleetAccess) -> None:
        super().__init__(state_directory, access)
        self._damaged: dict[str, EnrolmentDamagedError] = {}  # as last read

    def state(self, gateway: str) -> GatewayState:
        """Return what the hosts share of the state, and what is this host's own."""
        own = self._own_state(gateway)
        if gateway in self._unshared:
            return own
        self._again.send_what_is_left()
        try:
            with self.database.transaction() as rows:
                shared = enrolment_rows.read(rows, gateway)
        except DatabaseError as error:
            if isinstance(error, EnrolmentDamagedError):
                self._damaged[gateway] = error
            return self._known_without_rows(gateway, own)
        self._damaged.pop(gateway, None)
        own_thread = threading.get_ident()
        if self._lockers.get(gateway, own_thread) == own_thread:  # else a pass has read another
            self._enrolments[gateway] = shared
        before = self._shared_before(gateway)
        if before == shared.state:
            return own  # learnt without the database, and nobody else has written since
        if before is not None:
            with suppress(StorageError):  # which matters to the next change only
                self._forget_shared_before(gateway)
        if shared is enrolment_rows.NEW:
            return own  # the first host that writes brings the state that it had before it joined
        return self._with_revocation(gateway, own, shared.state)

    def _known_without_rows(self, gateway: str, own: GatewayState) -> GatewayState:
        """Return the state with what was seen last of the shared part, or learnt since."""
        seen = self._enrolments.setdefault(gateway, enrolment_rows.unseen(own.enrolment))
        if seen is enrolment_rows.NEW or self._shared_before(gateway) is not None:
            return own
        return self._with_revocation(gateway, own, seen.state)

    def _with_revocation(
        self, gateway: str, own: GatewayState, shared: EnrolmentState
    ) -> GatewayState:
        """Return the state with what is shared, and a revocation that this host alone knows of.

        It could not be written, since another host had written or held the lease. Earlier failures
        do not delay the replacement, and an order that may use a compromised key is dropped.
        """
        known, found = own.enrolment.revocation, shared.revocation
        state = replace(own, enrolment=shared)
        if known is None or not known.is_final or found == known:
            return state
        generations = {}
        for version in self.versions(gateway):
            with suppress(StorageError):  # it is damaged
                generations[version_rows.fingerprint_of(version.certificate)] = version.generation
        if generations.get(known.fingerprint) != max(generations.values(), default=0):
            return state  # there is a newer certificate
        if found is not None:
            is_newer = found.fingerprint not in generations
            if is_newer or (found.is_final and found.fingerprint == known.fingerprint):
                return state
        merged = replace(shared, revocation=known, next_attempt=None)
        if known.new_key:
            merged = replace(merged, order=None, second_order=None)
        return replace(own, enrolment=merged)

    def _shared_before(self, gateway: str) -> EnrolmentState | None:
        """Return what was shared when this host alone went on; None if it knows nothing more."""
        return json_record.read_record(self._layout.shared_before(gateway), EnrolmentState)

    def _keep_shared_before(self, gateway: str, before: EnrolmentState) -> None:
        """Keep what was shared, before the first of several changes of this host alone."""
        if self._shared_before(gateway) is None:
            json_record.write_record(self._layout.shared_before(gateway), before)

    def _forget_shared_before(self, gateway: str) -> None:
        durable.remove_file(self._layout.shared_before(gateway))

    def save_state(self, gateway: str, state: GatewayState) -> None:
        """Write the state; without the lease, the shared part only where it is still as read.

        Raises:
            LeaseLostError: Another host has taken the lease.
        """
        super().save_state(gateway, state)
        before = self._enrolments.get(gateway, enrolment_rows.NEW)
        if gateway in self._unshared or state.enrolment == before.state:
            return
        if gateway in self._held:
            try:
                with self._fenced(gateway) as (rows, token):
                    after = enrolment_rows.write(rows, gateway, state.enrolment, token)
            except DatabaseError:
                self._keep_shared_before(gateway, before.state)
                raise
            self._enrolments[gateway] = after
            self._forget_shared_before(gateway)
            return
        try:
            with self.database.transaction() as rows:
                written = enrolment_rows.write_over(rows, gateway, state.enrolment, before)
        except DatabaseError as error:
            logger.info("enrolment kept on this host only gateway=%s %s", gateway, error)
            self._keep_shared_before(gateway, before.state)
            return
        if written is None and before.text == enrolment_rows.UNSEEN:
            self._keep_shared_before(gateway, before.state)  # until the row is read
            return
        self._forget_shared_before(gateway)
        if written is None:
            logger.debug("state not written, another host has changed it gateway=%s", gateway)
        else:
            self._enrolments[gateway] = written

    def check_enrolment(self, gateway: str) -> None:
        """Check the row that `state` has read last.

        Raises:
            EnrolmentDamagedError: It was damaged.
        """
        damaged = self._damaged.get(gateway)
        if damaged is not None:
            raise damaged
