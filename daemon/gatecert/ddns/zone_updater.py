"""Zones that gatecert changes itself, by the providers of dns-01 (RFC 2136 and dns-lexicon)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from gatecert.challenge.dns01.provider import AddressProvider
    from gatecert.challenge.dns01.zones import RecordLocation
    from gatecert.ddns.updater import RecordChange


class ZoneFinder(Protocol):
    """Finds the zone of a name; implemented by ``challenge.dns01.zones.Zones``."""

    def locate(self, name: str) -> RecordLocation:
        """Find the name and zone of a record, following aliases."""
        ...


class ZoneUpdater:
    """Replaces the records in the zone of a name; see ``updater.Updater``.

    Args:
        provider: Changes the zone.
        zones: Finds it.
    """

    def __init__(self, provider: AddressProvider, zones: ZoneFinder) -> None:
        self._provider = provider
        self._zones = zones

    def update(self, change: RecordChange) -> bool:
        """Publish the records of a name; True, since providers do not say what changed."""
        place = self._zones.locate(change.name)
        # Removal first: a stale AAAA record breaks more than a missing A record.
        for records in sorted(change.records, key=lambda each: bool(each.addresses)):
            self._provider.replace(place, records)
        return True
