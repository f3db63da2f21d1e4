"""The store of a host of a fleet is made of classes that do not depend on their order."""

from __future__ import annotations

from collections import Counter

from gatecert.store.file_store import FileStore
from gatecert.store.postgres.fleet_store import FleetStore


def test_no_class_overrides_another() -> None:
    fleet = [each for each in FleetStore.__mro__ if each not in FileStore.__mro__]
    names = Counter(name for each in fleet for name in vars(each) if not name.startswith("__"))
    assert [name for name, times in names.items() if times > 1] == []
