"""The listening sockets of a host."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from tests.fakes.client_directories import write

from gatecert.adoption.listening_sockets import ListeningSocket, listening_sockets

if TYPE_CHECKING:
    from pathlib import Path

HEADER = "  sl  local_address rem_address   st tx_queue rx_queue\n"


@pytest.mark.skipif(sys.byteorder != "little", reason="the table has the byte order of the host")
def test_listening_sockets_are_found_and_wildcards_become_loopback(tmp_path: Path) -> None:
    write(
        tmp_path / "tcp",
        HEADER
        + "   0: 00000000:01BB 00000000:0000 0A 00000000:00000000\n"
        + "   1: 0100007F:1F90 00000000:0000 0A 00000000:00000000\n"
        + "   2: 0100007F:D431 0100007F:01BB 01 00000000:00000000\n",
    )
    none = "00000000000000000000000000000000"
    write(
        tmp_path / "tcp6",
        HEADER
        + f"   0: {none}:01BB {none}:0000 0A 0:0\n"
        + f"   1: {none}:0050 {none}:0000 0A 0:0\n"
        + f"   2: 0000000000000000FFFF00000100007F:1F91 {none}:0000 0A 0:0\n",
    )

    assert listening_sockets(tmp_path) == (
        ListeningSocket("127.0.0.1", 443),
        ListeningSocket("127.0.0.1", 8080),
        ListeningSocket("127.0.0.1", 8081),
        ListeningSocket("::1", 80),
    )


def test_a_host_without_the_tables_has_no_sockets(tmp_path: Path) -> None:
    assert listening_sockets(tmp_path) == ()
