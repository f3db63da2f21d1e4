"""ocserv.conf: the pair of lines that is replaced or added."""

from __future__ import annotations

import pytest
from tests.fakes.server_files import HOSTNAME, LIVE, ServerFiles

from gatecert.setup.ocserv_settings import names, plan

PAIR = f"server-cert = {LIVE}/fullchain.pem\nserver-key = {LIVE}/privkey.pem\n"
FILE = "/etc/ocserv/ocserv.conf"


def changed(text: str, hostname: str = HOSTNAME) -> str:
    found = plan(ServerFiles({FILE: text}).wanted(hostname))
    assert not found.by_hand
    return found.edits[0].after if found.edits else text


def test_lines_are_replaced_where_they_stand() -> None:
    before = "# a\nserver-key=/old.key\nserver-cert = /old.crt\n#server-cert = /x\ntcp-port = 443\n"

    assert changed(before) == (
        f"# a\nserver-key = {LIVE}/privkey.pem\nserver-cert = {LIVE}/fullchain.pem\n"
        "#server-cert = /x\ntcp-port = 443\n"
    )


def test_missing_lines_are_added_before_the_first_virtual_host() -> None:
    assert changed("tcp-port = 443") == f"tcp-port = 443\n{PAIR}"
    assert changed("a = b\n[vhost:x.test]\nc = d\n") == f"a = b\n{PAIR}[vhost:x.test]\nc = d\n"
    assert changed("") == PAIR


def test_a_virtual_host_of_the_name_has_its_own_pair() -> None:
    before = f"server-cert = /a\nserver-key = /b\n[vhost:{HOSTNAME}]\nserver-cert = /c\n[vhost:z]\n"

    assert changed(before) == before.replace("server-cert = /c\n", PAIR)
    assert names(ServerFiles({FILE: before}).wanted()) == [HOSTNAME, "z"]


def test_the_port_and_address_are_verified() -> None:
    text = "tcp-port = 4443\nlisten-host = 192.0.2.1\n"

    found = plan(ServerFiles({FILE: text}).wanted())

    assert found.install == {"verify": ["192.0.2.1:4443"]}
    assert found.key == {"reuse": True}
    ipv6 = plan(ServerFiles({FILE: "listen-host = 2001:db8::1\n"}).wanted())
    assert ipv6.install == {"verify": ["[2001:db8::1]:443"]}


def test_a_change_that_was_made_is_complete() -> None:
    assert plan(ServerFiles({FILE: PAIR}).wanted()).is_complete


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({FILE: "server-cert = /a\nserver-cert = /b\n"}, "several server-cert lines"),
        ({}, "there is no /etc/ocserv/ocserv.conf"),
    ],
)
def test_what_is_not_certain_is_left_to_the_operator(files: dict[str, str], why: str) -> None:
    found = plan(ServerFiles(files).wanted())

    assert why in found.by_hand
    assert not found.edits
    assert found.shown[FILE] == tuple(PAIR.splitlines())
