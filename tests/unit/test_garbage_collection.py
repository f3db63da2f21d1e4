from __future__ import annotations

import gc

import pytest

from gatecert.garbage_collection import without_garbage_collection


def test_collection_stops_and_goes_on() -> None:
    with without_garbage_collection():
        assert not gc.isenabled()
        with without_garbage_collection():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()


def test_collection_goes_on_after_an_error() -> None:
    @without_garbage_collection()
    def fail() -> None:
        raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert gc.isenabled()
