"""The choice of the server that is the gateway."""

from __future__ import annotations

import pytest
from tests.fakes.server_files import host

from gatecert.errors import WrongUsageError
from gatecert.setup.detection import candidates, choose, detect
from gatecert.setup.host import Host, UnitState


def chosen(here: Host, wanted: str = "") -> str:
    found = choose(detect(here), here, wanted)
    return found.server.name if found else ""


def test_the_only_server_that_runs() -> None:
    assert chosen(host(("nginx", 80))) == "nginx"
    assert chosen(host(("ocserv-main", 443))) == "ocserv"
    assert chosen(host(units=("haproxy.service",))) == "haproxy"
    assert chosen(host(("master", 25), ("imap-login", 143))) == "mail"


def test_of_several_the_one_that_has_port_443() -> None:
    assert chosen(host(("nginx", 80), ("ocserv-main", 443))) == "ocserv"


def test_two_on_port_443_are_a_question() -> None:
    here = host(("nginx", 443), ("ocserv-main", 443))

    assert chosen(here) == ""
    assert [str(each) for each in candidates(detect(here))] == [
        "ocserv (port 443)",
        "nginx (port 443)",
    ]
    assert chosen(here, "nginx") == "nginx"


def test_a_server_that_is_meant_to_run_comes_before_one_that_is_only_installed() -> None:
    here = Host(
        has_systemd=True,
        units={
            "ocserv.service": UnitState("ocserv.service", is_enabled=True),
            "nginx.service": UnitState("nginx.service"),
        },
        programs={"ocserv": "/usr/sbin/ocserv", "nginx": "/usr/sbin/nginx"},
    )

    assert chosen(here) == "ocserv"
    assert str(choose(detect(here), here)) == "ocserv (not running)"


def test_without_systemd_programs_count() -> None:
    assert chosen(Host(programs={"nginx": "/usr/sbin/nginx"})) == "nginx"


def test_no_server_is_an_error_that_says_who_has_the_port() -> None:
    with pytest.raises(WrongUsageError, match=r"no server was found .*443 is used by java"):
        chosen(host(("java", 443)))


def test_a_server_by_its_name() -> None:
    assert chosen(host(), "postfix") == "mail"
    assert chosen(host(), "other") == "other"
    with pytest.raises(WrongUsageError, match="--server iis"):
        chosen(host(), "iis")
