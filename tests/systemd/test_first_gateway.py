"""The files and commands of docs/first-gateway.md, with the package."""

from __future__ import annotations

import re
import shutil
import textwrap
from typing import TYPE_CHECKING

import yaml

from harness.machine.site import BOSTON, CONFIGURATION, HOSTNAME, OCSERV

if TYPE_CHECKING:
    from harness.machine.site import Site

PAGE = "/usr/share/doc/gatecert/docs/first-gateway.md"
BLOCK = re.compile(r"^ *```(\w+)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
CERTIFICATE_LINE = re.compile(r"^ *(server-(?:cert|key) *= .*\n)", re.MULTILINE)


def forget_the_reload(site: Site) -> None:
    """Remove what the page is about to write."""
    units = site.machine.root / "etc/systemd/system"
    shutil.rmtree(units / f"gatecert-reload@{BOSTON}.service.d")
    for link in units.rglob(f"gatecert-reload@{BOSTON}.path"):
        link.unlink()
    (site.machine.root / CONFIGURATION.lstrip("/")).unlink()


def test_the_page_as_written(site: Site) -> None:
    forget_the_reload(site)
    machine = site.machine
    machine.boot()
    page = machine.must("cat", PAGE)
    blocks = {kind: textwrap.dedent(text) for kind, text in BLOCK.findall(page)}
    site.configuration["gateways"] = yaml.safe_load(blocks["yaml"])["gateways"]
    site.gateway["addresses"] = ["127.0.0.1"]
    site.configure()
    lines = "".join(CERTIFICATE_LINE.findall(page))
    machine.write_running("/etc/ocserv/ocserv.conf", CERTIFICATE_LINE.sub("", OCSERV) + lines)
    site.names.point(HOSTNAME, "127.0.0.1")
    unit = f"gatecert-reload@{BOSTON}"
    assert unit in machine.must("gatecert", "check"), "the note that nothing reloads ocserv"

    machine.must("sh", "-ec", blocks["sh"])
    site.wait_trusted()
    site.wait_settled()

    assert site.log_in().trusted
    assert unit not in machine.must("gatecert", "check")
    first = site.live()
    machine.must("gatecert", "enroll", "--force", BOSTON)
    site.wait_trusted()
    assert site.live() != first
    assert machine.must("systemctl", "--failed", "--plain", "--no-legend") == ""
