"""A daemon of a fleet whose configuration names what it cannot use."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .configured_host import GATEWAY, configured_host

if TYPE_CHECKING:
    from pathlib import Path

    from harness.gatecert import Gatecert

    from .conftest import FleetDatabase

COMPLAINT = "/no-key contains no sealing key (32 bytes in base64url)"


@pytest.fixture
def host(database: FleetDatabase, tmp_path: Path) -> Gatecert:
    """A host whose gateway needs no network, and whose workers leave at once."""
    host = configured_host(database, "hq-gw-a", tmp_path)
    host.configuration["gateways"] = {GATEWAY: {"hostname": "vpn.example.com", "mode": "custom"}}
    host.configuration["worker"] = {"idle": "1s"}
    return host


@pytest.fixture
def bad_key(tmp_path: Path) -> str:
    path = tmp_path / "no-key"
    path.touch(0o600)
    path.write_text("S3cr3t")
    return str(path)


def test_a_reload_with_a_bad_sealing_key_leaves_the_old_ones_in_force(
    host: Gatecert, bad_key: str
) -> None:
    keys = host.configuration["fleet"]["sealing_keys"]
    with host:
        host.wait_logged("ready gateways=1")
        host.wait_no_workers()

        keys.insert(0, bad_key)
        host.reload()
        host.wait_logged("the old one stays in force")

        assert COMPLAINT in host.process.output
        (host.state_directory / "gateways" / GATEWAY / "live").unlink()
        host.look_again()
        host.wait_bootstrapped(GATEWAY)
        assert "worker lost" not in host.process.output
        keys.remove(bad_key)
        host.reload()
        host.wait_logged("configuration reloaded")


def test_a_start_with_a_bad_sealing_key_ends_as_with_any_bad_configuration(
    host: Gatecert, bad_key: str
) -> None:
    host.configuration["fleet"]["sealing_keys"] = [bad_key]
    with host:
        assert host.process.wait(60) == 2
    assert COMPLAINT in host.process.output
