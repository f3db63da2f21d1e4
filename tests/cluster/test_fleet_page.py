"""docs/fleet.md as written: from an empty PostgreSQL server to hosts that log in."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from contextlib import closing
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest
import yaml

from gatecert.config.fleet_host import fleet_host
from gatecert.config.load import load
from gatecert.errors import LoginRefusedError
from gatecert.store.postgres.database import Database
from harness.gatecert import CommandResult, Gatecert
from harness.postgres import HOST, OWNER, Postgres, make_directory

if TYPE_CHECKING:
    from contextlib import ExitStack

    from harness.postgres import DatabaseCertificates, EmptyCluster

PAGE = (Path(__file__).parents[2] / "docs" / "fleet.md").read_text("utf-8")
BLOCKS = [dedent(block) for block in re.findall(r"(?:^    .*\n|^\n(?=    ))+", PAGE, re.MULTILINE)]
ETC = "/etc/gatecert/fleet"
POSTGRES = "sudo -u postgres gatecert fleet"
BY_SOCKET = "postgresql:///gatecert"


def block(begins: str) -> str:
    """Return the one block of the page that begins like this."""
    (found,) = [each.strip() for each in BLOCKS if each.strip().startswith(begins)]
    return found


class PageServer:
    """A server as the page prepares it, and the hosts of the page.

    Args:
        server: A running server, without a database.
        directory: For the files of the hosts.
    """

    def __init__(self, server: Postgres, directory: Path) -> None:
        self.server = server
        self.directory = directory
        self.sealing_key = directory / "seal-2026"
        self.gatecert = Gatecert(directory / "host")

    def run_as_postgres(self, line: str) -> CommandResult:
        """Run ``sudo -u postgres gatecert …`` of the page."""
        words = shlex.split(line.removeprefix("sudo -u postgres gatecert "))
        where = f"host={self.server.sockets}&port={self.server.port}"
        login = f"postgresql://{OWNER}@/gatecert?{where}"
        result = self.gatecert.run(*(login if word == BY_SOCKET else word for word in words))
        assert (result.exit_code, result.errors) == (0, "")
        return result

    def run_on_host(self, command: str) -> CommandResult:
        """Run ``sudo gatecert COMMAND`` of the page."""
        assert f"    sudo gatecert {command}\n" in PAGE
        result = self.gatecert.run(*command.split())
        assert (result.exit_code, result.errors) == (0, "")
        return result

    def write_host(self, name: str) -> None:
        """Write the files and the configuration of a host."""
        certificate, key = self.server.certificates.issue(name)
        etc = self.directory / name
        etc.mkdir()
        shutil.copy(certificate, etc / "gw-a.pem")
        shutil.copy(self.server.certificates.bundle, etc / "ca.pem")
        shutil.copy(key, etc / "gw-a-key.pem")
        shutil.copy(self.sealing_key, etc)
        written = block("fleet:").replace(ETC, str(etc)).replace("host: gw-a", f"host: {name}")
        section = yaml.safe_load(written)["fleet"]
        assert section["database"]["hosts"] == ["db1.example.com", "db2.example.com"]
        section["database"]["hosts"] = [f"{HOST}:{self.server.port}"]
        self.gatecert.configuration["fleet"] = section
        self.gatecert.add_gateway("vpn", "vpn.example.com", mode="custom").write()


@pytest.fixture
def page(
    servers: ExitStack,
    certificates: DatabaseCertificates,
    empty_cluster: EmptyCluster,
    tmp_path: Path,
) -> PageServer:
    directory = make_directory()
    servers.callback(shutil.rmtree, directory)
    (line,) = re.findall(r"`(hostssl .*?)`", PAGE)
    server = Postgres(directory, certificates, logins=f"local all all trust\n{line}\n")
    return PageServer(servers.enter_context(server.copy(empty_cluster)), tmp_path)


def test_the_page_leads_to_hosts_that_log_in(page: PageServer) -> None:
    create, init = block("sudo -u postgres createdb").splitlines()
    assert create == "sudo -u postgres createdb gatecert"
    page.server.execute("CREATE DATABASE gatecert")
    prepared = page.run_as_postgres(init)
    assert "host gw-b of cluster hq, ring 1: role gw-b" in prepared.output
    (line,) = re.findall(r"needs, in front of other lines: (.*)", prepared.output)
    assert f"`{line}`" in PAGE
    migrated = page.run_as_postgres(block("sudo -u postgres gatecert fleet migrate"))
    assert migrated.output == "database gatecert: schema 1 is up to date\n"

    page.sealing_key.touch(0o600)
    made = subprocess.run(["sh", "-c", block("openssl rand")], check=True, capture_output=True)
    page.sealing_key.write_bytes(made.stdout)
    for name in ("gw-a", "gw-b"):
        page.write_host(name)
        checked = page.gatecert.run("check")
        assert (checked.exit_code, checked.errors) == (0, "")
        shown = " ".join(checked.output.split())
        assert f"fleet: host {name} of cluster hq, ring 1; database gatecert on" in shown
        with closing(database(page)) as opened, opened.transaction() as rows:
            assert rows.execute("SELECT own_cluster(), own_host()").fetchone() == ("hq", name)
        joined = page.run_on_host("fleet join")
        assert f"host {name} of cluster hq: database gatecert on" in joined.output

    paused = page.run_as_postgres(block(f"{POSTGRES} pause"))
    assert paused.output.splitlines()[0].endswith(": new firewall")
    assert "all hosts go on" in page.run_as_postgres(block(f"{POSTGRES} resume")).output
    page.run_on_host("fleet export")
    left = page.run_on_host("fleet leave")
    assert "host gw-b has left cluster hq; other hosts: gw-a" in left.output
    removed = page.run_as_postgres(block(f"{POSTGRES} leave"))
    assert removed.output == "host gw-b of cluster hq is removed, and cannot log in any more\n"

    page.write_host("gw-c")
    with (
        closing(database(page)) as opened,
        pytest.raises(LoginRefusedError, match="add this host with gatecert fleet init"),
        opened.transaction(),
    ):
        pytest.fail("a host that nobody has added logs in")


def database(page: PageServer) -> Database:
    fleet = load(page.gatecert.configuration_file).fleet
    assert fleet is not None
    return Database(fleet_host(fleet))
