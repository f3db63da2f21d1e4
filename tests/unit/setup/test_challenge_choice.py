"""The choice of a challenge."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.fakes.server_files import HOSTNAME, ServerFiles, host

from gatecert.errors import WrongUsageError
from gatecert.setup.challenge_choice import choose_challenge

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gatecert.config.schema import Configuration

GATEWAYS = "gateways: {a: {hostname: a.test, mode: custom}}\n"
DNS = "challenges: {dns-01: {provider: exec, command: [/bin/true]}}\n" + GATEWAYS


def served(*directories: Path) -> Callable[[Path], bool]:
    return lambda path: path in directories


def site(root: Path) -> ServerFiles:
    text = f"http {{ server {{ listen 80; root {root}; server_name {HOSTNAME}; }} }}"
    return ServerFiles({"/etc/nginx/nginx.conf": text}, host=host(("nginx", 80)))


def test_a_free_port_80() -> None:
    found = choose_challenge(ServerFiles(host=host(("nginx", 443))).wanted(), None, served())

    assert (found.kind, found.settings, found.webroot) == ("http-01", {}, None)


def test_the_socket_of_gatecert_itself_is_free() -> None:
    found = choose_challenge(ServerFiles(host=host(("systemd", 80))).wanted(), None, served())

    assert found.settings == {}


def test_a_directory_that_is_served(tmp_path: Path) -> None:
    found = choose_challenge(site(tmp_path).wanted(), None, served(tmp_path))

    assert found.settings == {"http-01": {"webroot": str(tmp_path)}}
    assert found.webroot == tmp_path
    assert "nginx serves it" in found.reason


def test_one_that_is_not_served_is_no_choice(tmp_path: Path) -> None:
    found = choose_challenge(site(tmp_path).wanted(), None, served())

    assert found.settings == {"http-01": {"listen": ["127.0.0.1:888"]}}
    with pytest.raises(WrongUsageError, match=r"port 80 is used by java.*--webroot"):
        choose_challenge(ServerFiles(host=host(("java", 80))).wanted(), None, served())


def test_the_directory_that_the_operator_names(tmp_path: Path) -> None:
    wanted = site(tmp_path).wanted()

    found = choose_challenge(wanted, None, served(), webroot=str(tmp_path))
    assert found.webroot == tmp_path
    with pytest.raises(WrongUsageError, match="--webroot"):
        choose_challenge(wanted, None, served(), webroot=str(tmp_path / "missing"))


def test_haproxy_forwards() -> None:
    server = ServerFiles(
        {"/etc/haproxy/haproxy.cfg": "frontend a\n  mode http\n  bind :80\n"},
        host=host(("haproxy", 80)),
    )

    found = choose_challenge(server.wanted(), None, served())

    assert found.settings == {"http-01": {"listen": ["127.0.0.1:888"]}}
    assert found.edit is not None


def test_what_is_written_stays(
    configuration: Callable[[str], Configuration], tmp_path: Path
) -> None:
    written = configuration(f"challenges: {{http-01: {{webroot: {tmp_path}}}}}\n{GATEWAYS}")

    found = choose_challenge(site(tmp_path).wanted(), written, served())

    assert (found.settings, found.webroot) == ({}, tmp_path)


def test_dns_01_if_it_is_configured_and_nothing_else_can_work(
    configuration: Callable[[str], Configuration],
) -> None:
    written = configuration(DNS)
    wanted = ServerFiles(host=host(("java", 80))).wanted()

    assert choose_challenge(wanted, written, served()).kind == "dns-01"
    assert choose_challenge(wanted, written, served(), kind="dns-01").kind == "dns-01"
    with pytest.raises(WrongUsageError, match=r"--challenge tls-alpn-01: needs settings"):
        choose_challenge(wanted, written, served(), kind="tls-alpn-01")
    with pytest.raises(WrongUsageError, match="is not one of"):
        choose_challenge(wanted, written, served(), kind="http-02")
