"""The versions of a host's store: installed by one host, and copied by all."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from gatecert.errors import DatabaseError, StorageError
from gatecert.model import Origin
from gatecert.store import durable, json_record
from gatecert.store.postgres import enrolment_rows, intent_rows, lease_rows, version_rows
from gatecert.store.postgres.fleet_leases import FleetLeases, RemovedGeneration

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from psycopg import Connection

    from gatecert.model import IssuedChain, Version

logger = logging.getLogger(__name__)


class FleetVersions(FleetLeases):
    """Files and rows of versions; see ``store.protocol.Store``."""

    def add_version(
        self, gateway: str, issued: IssuedChain, *, now: datetime, key_group: str | None = None
    ) -> Version:
        """Write a version; one that was ordered under the lease is the cluster's, and ends it.

        It is in the files before the rows are committed. Without the database it is installed
        here, and its row is written after the next connection, as is that of a reserved order.

        Raises:
            LeaseLostError: Another host has taken the lease, and installs what it obtains.
        """
        order, is_held = self._reserved.placing(gateway), gateway in self._held
        if issued.origin is not Origin.AUTHORITY or (order is None and not is_held):
            return super().add_version(gateway, issued, now=now, key_group=key_group)
        issued = replace(issued, is_urgent=self._replaces_revoked(gateway))
        if order is not None:
            number = order.generation
            return self.add_generation(gateway, issued, number, now=now, key_group=key_group)
        version = None
        try:
            with self._sending_again(), self._fenced(gateway) as (rows, token):
                generation = version_rows.install(rows, gateway, token, issued, self._keys)
                version = self.add_generation(
                    gateway, issued, generation, now=now, key_group=key_group
                )
        except DatabaseError as error:
            logger.warning("version only on this host for now gateway=%s %s", gateway, error)
            generation = self._ordered.get(gateway, 0)
            version = version or self.add_generation(
                gateway, issued, generation, now=now, key_group=key_group
            )
        self._held.pop(gateway).end()
        for request in self.own_requests(gateway):
            if 0 < request.generation <= generation:
                self._remove_own_request(gateway, request.id)
        return version

    def _replaces_revoked(self, gateway: str) -> bool:
        """Tell whether the newest version of this host is known to be revoked.

        The rows may say so, or the file, where the database was away when it was learnt.
        """
        shared = self._enrolments.get(gateway, enrolment_rows.NEW).state.revocation
        own = self._own_state(gateway).enrolment.revocation
        known = (each for each in (shared, own) if each is not None)
        revoked = {each.fingerprint for each in known if each.revoked is not None}
        newest = self._own_generation(gateway)
        with suppress(StorageError):  # a damaged one
            return any(
                version_rows.fingerprint_of(each.certificate) in revoked
                for each in self.versions(gateway)
                if revoked and each.generation == newest
            )
        return False

    def remove_version(self, version: Version) -> None:
        """Delete a version, and remember which generation this host has had."""
        if version.generation > self._removed_generation(version.gateway):
            record = RemovedGeneration(version.generation)
            json_record.write_record(self._layout.removed_generation(version.gateway), record)
        super().remove_version(version)

    def forget_generations(self, gateway: str) -> None:
        """Keep the versions and open orders of a gateway as those of this host alone."""
        for version in self.versions(gateway):
            self.number_version(version, 0)
        for request in self.own_requests(gateway):
            self.number_request(gateway, replace(request, generation=0))
        durable.remove_file(self._layout.removed_generation(gateway))
        durable.remove_file(self._layout.shared_before(gateway))
        self._reserved.forget(gateway)

    def copy_version(
        self, gateway: str, *, now: datetime, key_group: str | None = None
    ) -> Version | None:
        """Copy the cluster's newest version if this host does not have it; None if it has.

        A database that was restored, or a server that took over, may have lost the newest version
        of this host, or may have another one with its number: of two, the one that ends later is
        the one that all hosts get, and the other one stays where it is.

        Raises:
            SealingKeyMissingError: This host cannot open its key.
            StorageError: The database is away, or its row is damaged.
        """
        if gateway in self._unshared:
            return None
        generation = self._own_generation(gateway)
        own = [each for each in self.versions(gateway) if each.generation == generation > 0]
        with self.database.transaction() as rows:
            if own:
                self._send_past(rows, gateway, own[0])
            if own and self._is_behind(rows, gateway, own):
                generation -= 1
            found = version_rows.newer(rows, gateway, generation, self._keys)
        if found is None:
            return None
        logger.info("version copied gateway=%s generation=%d", gateway, found.generation)
        return self.add_generation(
            gateway, found.issued, found.generation, now=now, key_group=key_group
        )

    def _send_past(self, rows: Connection, gateway: str, own: Version) -> None:
        """Send what was ordered without the database also past a later order that ends sooner."""
        order = self._reserved.read(gateway)
        if order is None or not order.request or own.generation != order.generation:
            return
        known = version_rows.known(rows, gateway)
        if (
            known.number > order.generation
            and known.not_after is not None
            and known.not_after < version_rows.leaf(own.certificate).not_valid_after_utc
            and lease_rows.is_free(rows, gateway)
        ):
            following = intent_rows.next_generation(rows, gateway, known.number)
            logger.warning("version sent past gateway=%s generation=%d", gateway, known.number)
            version_rows.insert(rows, gateway, following, self.issued(own), self._keys)

    def _is_behind(self, rows: Connection, gateway: str, own: Sequence[Version]) -> bool:
        """Compare the newest versions of this host with the cluster's, and send what it lacks.

        Args:
            rows: In a transaction.
            gateway: Its name.
            own: The versions of this host with its greatest generation, newest first.

        Returns:
            Whether the cluster has another version with that generation, which ends later.
        """
        known, generation = version_rows.known(rows, gateway), own[0].generation
        if known.number > generation:
            return False
        if known.number < generation or known.not_after is None:
            lease_rows.enter(rows, gateway)
            if lease_rows.is_free(rows, gateway):
                logger.warning("version sent again gateway=%s generation=%d", gateway, generation)
                version_rows.insert(rows, gateway, generation, self.issued(own[0]), self._keys)
            return False
        if known.fingerprint in {version_rows.fingerprint_of(each.certificate) for each in own}:
            return False
        logger.warning("two versions of one generation gateway=%s number=%d", gateway, generation)
        if known.not_after >= version_rows.leaf(own[0].certificate).not_valid_after_utc:
            return True
        if lease_rows.is_free(rows, gateway):
            following = intent_rows.next_generation(rows, gateway, generation)
            version_rows.insert(rows, gateway, following, self.issued(own[0]), self._keys)
        return False
