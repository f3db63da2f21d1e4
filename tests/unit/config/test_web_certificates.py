"""Certificates that listeners cannot use."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.fakes.pki import Pki

from gatecert.config.schema import Configuration
from gatecert.config.web_certificates import findings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PKI = Pki()
PAIR = PKI.issue("listener")


@pytest.fixture
def listener(tmp_path: Path) -> Callable[[], list[tuple[str, str]]]:
    """Check a page whose certificate and key are the files ``cert`` and ``key``."""
    (tmp_path / "web.yml").write_text("tls_server_config: {cert_file: cert, key_file: key}\n")
    (tmp_path / "cert").write_bytes(PAIR.pem)
    (tmp_path / "key").write_bytes(PAIR.key_pem)

    def check() -> list[tuple[str, str]]:
        page = {"listen": ["127.0.0.1:9877"], "web_config": tmp_path / "web.yml"}
        configuration = Configuration.model_validate(
            {
                "state_directory": tmp_path / "state",
                "page": page,
                "gateways": {"vpn": {"hostname": "vpn.example.com"}},
            }
        )
        return [(".".join(map(str, each.location)), each.what) for each in findings(configuration)]

    return check


def test_a_listener_has_a_certificate_and_its_key(
    listener: Callable[[], list[tuple[str, str]]], tmp_path: Path
) -> None:
    assert not listener()
    (tmp_path / "key").write_bytes(PKI.issue("other").key_pem)
    ((key, what),) = listener()
    assert key == "page.web_config"
    assert what.startswith(f"the key {tmp_path}/key does not belong to the certificate")
    (tmp_path / "key").unlink()
    ((key, what),) = listener()
    assert what.startswith(f"there is no file {tmp_path}/key")


def test_nobody_else_may_change_the_key_of_a_listener(
    listener: Callable[[], list[tuple[str, str]]], tmp_path: Path
) -> None:
    (tmp_path / "key").chmod(0o666)
    ((_, what),) = listener()
    assert what.startswith(f"{tmp_path}/key is world-writable, and it is a private key; run chmod")


def test_a_certificate_that_gatecert_has_yet_to_write_is_no_problem(
    listener: Callable[[], list[tuple[str, str]]], tmp_path: Path
) -> None:
    live = "state/gateways/vpn/live"
    (tmp_path / "web.yml").write_text(
        f"tls_server_config: {{cert_file: {live}/fullchain.pem, key_file: {live}/privkey.pem}}\n"
    )
    assert not listener()


def test_a_faulty_web_configuration_is_not_reported_twice(
    listener: Callable[[], list[tuple[str, str]]], tmp_path: Path
) -> None:
    (tmp_path / "web.yml").write_text("tls: a\n")
    assert not listener()
