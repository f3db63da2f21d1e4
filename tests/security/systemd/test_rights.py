"""The tables of docs/security.md: every cell is tried by its account on a booted machine."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from harness.machine.site import BOSTON, GATEWAY

if TYPE_CHECKING:
    from harness.machine.booted import Machine
    from harness.machine.site import Site

SERVICE: Final = "gatecert.service"
RELOAD: Final = f"gatecert-reload@{BOSTON}.service"
CAP_NET_BIND: Final = 10  # linux/capability.h
PAGE = Path(__file__).resolve().parents[3] / "docs" / "security.md"
ACCOUNTS = {
    "`gatecert`": ("--reuid=gatecert", "--regid=gatecert", "--init-groups"),
    "group `gatecert`": ("--reuid=daemon", "--regid=gatecert", "--clear-groups"),
    "any user": ("--reuid=daemon", "--regid=daemon", "--clear-groups"),
}
# Each prints what the account can do with the path.
TRIALS = """\
if [ -d "$1" ]; then
    if made=$(mktemp -p "$1" 2>/dev/null); then rm -f "$made"; echo write
    elif ls "$1" >/dev/null 2>&1; then echo read
    elif (cd "$1") 2>/dev/null; then echo enter
    else echo -; fi
elif (: >>"$1") 2>/dev/null; then echo write
elif cat "$1" >/dev/null 2>&1; then echo read
else echo -; fi
"""


def table(heading: str) -> list[dict[str, str]]:
    """Return the rows of the first table below a heading of the page."""
    section = PAGE.read_text("utf-8").split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line] for line in lines]
    header, _, *rows = cells
    return [dict(zip(header, row, strict=True)) for row in rows]


def right(machine: Machine, account: str, path: str) -> str:
    """Return what an account can do with a path."""
    return machine.must("setpriv", *ACCOUNTS[account], "sh", "-c", TRIALS, "sh", path).strip()


def test_every_right_on_the_page_is_what_the_account_has(enrolled: Site) -> None:
    rows = table("Files")
    machine = enrolled.machine

    found = [
        {"path": row["path"]}
        | {name: right(machine, name, row["path"].strip("`")) for name in ACCOUNTS}
        for row in rows
    ]

    assert found == rows
    assert any(BOSTON in row["path"] for row in rows)


TRIAL = """\
[Service]
Type=oneshot
Restart=no
WatchdogSec=0
ExecStart=
ExecStart=/usr/bin/python3 -IS /srv/in_sandbox.py {port} {result}
"""
RESULT = "/var/lib/gatecert/in-sandbox.json"


def in_sandbox(machine: Machine, unit: str) -> dict[str, str]:
    """Run a program in place of a unit's, and return what it could do in the page's words."""
    machine.write("/srv/in_sandbox.py", Path(__file__).with_name("in_sandbox.py").read_text())
    with socket.create_server(("127.0.0.1", 0)) as listener:
        text = TRIAL.format(port=listener.getsockname()[1], result=RESULT)
        machine.drop_in(unit, text, name="zz-trial.conf")
        machine.must("systemctl", "daemon-reload")
        machine.must("systemctl", "restart", unit)
    found = json.loads(machine.must("cat", RESULT))
    mask = found["capabilities"]
    return {
        "runs as": f"`{found['account']}`",
        "capabilities": "none" if not mask else "bind" if mask == 1 << CAP_NET_BIND else hex(mask),
        "writes": ", ".join(f"`{path}`" for path in found["writes"]),
        "network": "yes" if found["network"] else "no",
    }


@pytest.mark.parametrize("row", table("Units"), ids=lambda row: row["unit"].strip("`"))
def test_a_unit_may_do_what_the_page_says(enrolled: Site, row: dict[str, str]) -> None:
    machine = enrolled.machine
    unit, _, drop_in = row["unit"].replace("`", "").partition(" with ")
    if drop_in:
        shipped = machine.must("cat", f"/usr/share/gatecert/{drop_in}")
        machine.drop_in(unit, shipped, name=drop_in)
        machine.enable("gatecert-http.socket")

    assert in_sandbox(machine, unit) == {key: row[key] for key in row if key != "unit"}


@pytest.mark.on_one_debian
@pytest.mark.attack("the daemon's account fills its directory with links before a purge")
def test_a_purge_follows_no_link(enrolled: Site) -> None:
    machine = enrolled.machine
    machine.write("/srv/precious/file", "kept")
    for where in ("/var/lib/gatecert/gateways/elsewhere", "/var/lib/gatecert/accounts/elsewhere"):
        machine.must("setpriv", *ACCOUNTS["`gatecert`"], "ln", "-s", "/srv/precious", where)

    machine.must("apt-get", "purge", "--yes", "--quiet", "gatecert")

    assert machine.must("cat", "/srv/precious/file") == "kept"
    assert machine.run("test", "-e", "/var/lib/gatecert").exit_code != 0


@pytest.mark.on_one_debian
@pytest.mark.attack("the daemon's account fills /run/gatecert with links before the service stops")
def test_a_stop_follows_no_link(enrolled: Site) -> None:
    machine = enrolled.machine
    machine.write("/srv/precious/file", "kept")
    for source, name in (("/srv/precious", "directory"), ("/srv/precious/file", "file")):
        where = f"/run/gatecert/{name}"
        machine.must("setpriv", *ACCOUNTS["`gatecert`"], "ln", "-s", source, where)

    machine.must("systemctl", "stop", SERVICE)

    assert machine.must("cat", "/srv/precious/file") == "kept"
    assert machine.run("test", "-e", "/run/gatecert").exit_code != 0


@pytest.mark.on_one_debian
@pytest.mark.parametrize("account", [name for name in ACCOUNTS if name != "`gatecert`"])
@pytest.mark.attack("another account has the daemon order, reload or stop")
def test_another_account_causes_nothing(enrolled: Site, account: str) -> None:
    machine = enrolled.machine
    process = machine.shown(SERVICE, "MainPID")
    reloads, orders = machine.shown(RELOAD, "InvocationID"), enrolled.pebble.orders()

    for command in (
        "gatecert enroll --force boston",
        "gatecert revoke boston",
        f"touch {GATEWAY}/reload-wanted",
        f"touch {GATEWAY}/state.json",
        "touch /var/lib/gatecert/changed/boston",
        "rm -rf /var/lib/gatecert/gateways",
        f"kill -USR1 {process}",
        f"kill -HUP {process}",
        f"kill -KILL {process}",
        f"systemctl start {RELOAD}",
        f"systemctl reload {SERVICE}",
        f"systemctl stop {SERVICE}",
    ):
        tried = machine.run("setpriv", *ACCOUNTS[account], "sh", "-c", command)
        assert tried.exit_code != 0, (command, tried.output)

    machine.must("gatecert", "enroll", "--force", BOSTON)
    enrolled.wait_settled()
    assert enrolled.pebble.orders() == orders + 1, "only root's order"
    assert machine.shown(SERVICE, "MainPID") == process
    assert machine.shown(RELOAD, "InvocationID") != reloads, "the reload for root's order"
