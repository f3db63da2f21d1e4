from __future__ import annotations

from gatecert.challenge.dns01.zones import RecordLocation
from gatecert.ddns.updater import RecordChange
from gatecert.ddns.zone_updater import ZoneUpdater
from gatecert.model import AddressRecords, RecordKind

PLACE = RecordLocation("vpn.example.com", "example.com")
A = AddressRecords(RecordKind.A, ("192.0.2.7",))
NO_AAAA = AddressRecords(RecordKind.AAAA, ())


class Zones:
    def locate(self, name: str) -> RecordLocation:
        assert name == PLACE.name
        return PLACE


class Provider:
    def __init__(self) -> None:
        self.replaced: list[AddressRecords] = []

    def replace(self, place: RecordLocation, records: AddressRecords) -> None:
        assert place == PLACE
        self.replaced.append(records)


def test_stale_records_go_first() -> None:
    provider = Provider()
    assert ZoneUpdater(provider, Zones()).update(RecordChange(PLACE.name, (A, NO_AAAA)))
    assert provider.replaced == [NO_AAAA, A]
