"""The client profile: ocserv sends it, and openconnect finds the gateway by its alias."""

from __future__ import annotations

import ssl
import xml.etree.ElementTree as ET
from http.client import HTTPSConnection
from typing import TYPE_CHECKING

from harness.ocserv import PASSWORD_ONLY, Ocserv
from harness.openconnect import authenticate

if TYPE_CHECKING:
    from contextlib import ExitStack
    from pathlib import Path

    from harness.gatecert import Gatecert

BOSTON = "boston"
ALIAS = "R&D <Boston> 北"
NAMES = {"a": "http://schemas.xmlsoap.org/encoding/"}


def test_an_alias_resolves_to_the_gateway(
    servers: ExitStack, gatecert: Gatecert, hostname: str, tmp_path: Path
) -> None:
    written = tmp_path / "boston.xml"
    ocserv = Ocserv(
        tmp_path / "ocserv",
        **gatecert.files(BOSTON),
        authentication=f"{PASSWORD_ONLY}\nuser-profile = {written}",
    )
    gatecert.add_gateway(
        BOSTON,
        hostname,
        mode="custom",
        profile={"display_name": ALIAS, "port": ocserv.port},
    ).write()
    gatecert.run("enroll")
    assert gatecert.run("profile", BOSTON, "--output", str(written)).exit_code == 0
    servers.enter_context(ocserv)
    root = gatecert.live(BOSTON) / "cert.pem"

    welcome = authenticate(ocserv, hostname, root, f"--xmlconfig={written}", server=ALIAS)

    assert welcome.trusted, welcome.output
    assert f'Host "{ALIAS}" has address "{hostname}:{ocserv.port}"' in welcome.output
    assert _handed_out(ocserv, welcome.cookie) == written.read_bytes()
    assert written.read_text("utf-8") == gatecert.run("profile", BOSTON).output
    assert written.stat().st_mode & 0o777 == 0o644
    unknown = authenticate(ocserv, hostname, root, f"--xmlconfig={written}", server="Boston")
    assert not unknown.trusted


def test_the_members_of_a_pair_are_backup_servers(gatecert: Gatecert) -> None:
    members = {"primary": "primaryvpn.company.com", "spare": "secondaryvpn.company.com"}
    gatecert.add_gateway(
        "hq",
        "vpn.company.com",
        mode="custom",
        members={name: {"common_name": common_name} for name, common_name in members.items()},
    ).write()

    printed = gatecert.run("profile", "hq")

    assert printed.exit_code == 0, printed.errors
    entry = ET.fromstring(printed.output).find("a:ServerList/a:HostEntry", NAMES)  # noqa: S314 - own file
    assert entry is not None
    assert entry.findtext("a:HostName", None, NAMES) == "hq"
    assert entry.findtext("a:HostAddress", None, NAMES) == "vpn.company.com"
    backups = entry.findall("a:BackupServerList/a:HostAddress", NAMES)
    assert [each.text for each in backups] == list(members.values())


def test_a_profile_that_cannot_be_written(
    gatecert: Gatecert, hostname: str, tmp_path: Path
) -> None:
    gatecert.add_gateway(BOSTON, hostname, mode="custom").write()

    unknown = gatecert.run("profile", "bostn")
    nowhere = gatecert.run("profile", BOSTON, "--output", str(tmp_path / "no" / "boston.xml"))

    assert unknown.exit_code == 2
    assert "did you mean 'boston'" in unknown.errors
    assert nowhere.exit_code == 1
    assert "it does not exist" in nowhere.errors
    assert not gatecert.state_directory.exists()


def _handed_out(ocserv: Ocserv, cookie: str) -> bytes:
    """Fetch the profile as AnyConnect does after a log-in."""
    connection = HTTPSConnection(
        "127.0.0.1",
        ocserv.port,
        timeout=5,
        context=ssl._create_unverified_context(),  # noqa: S323, SLF001 - the bootstrap certificate
    )
    try:
        connection.request("GET", "/profiles", headers={"Cookie": cookie})
        response = connection.getresponse()
        assert response.status == 200
        return response.read()
    finally:
        connection.close()
