from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gatecert.ddns.interfaces import stable_addresses
from gatecert.errors import ResolutionError

if TYPE_CHECKING:
    from pathlib import Path


def test_the_loopback_interface_has_its_address() -> None:
    assert "127.0.0.1" in stable_addresses("lo")
    assert set(stable_addresses("lo")) <= set(stable_addresses())


def test_temporary_deprecated_and_tentative_addresses_are_left_out(tmp_path: Path) -> None:
    assert "::1" in stable_addresses("lo", if_inet6=tmp_path / "missing")
    for flags in ("01", "20", "40", "81"):
        listed = tmp_path / f"if_inet6-{flags}"
        listed.write_text(f"{1:032x} 01 80 10 {flags}       lo\n", "ascii")
        assert "::1" not in stable_addresses("lo", if_inet6=listed)


def test_an_unknown_interface_is_named() -> None:
    with pytest.raises(ResolutionError, match="no network interface ppp7"):
        stable_addresses("ppp7")
