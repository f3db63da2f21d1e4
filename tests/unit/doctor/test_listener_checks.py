from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.fakes.doctor_facts import TARGET

from gatecert import container
from gatecert.challenge import listening
from gatecert.config.schema import Configuration
from gatecert.doctor.facts import OpenListener
from gatecert.doctor.listener_checks import listener_finding, open_listeners, warn
from gatecert.model import Endpoint

if TYPE_CHECKING:
    from collections.abc import Callable

BOTH = replace(TARGET, challenges=("http-01", "tls-alpn-01"))


DISTANT = "https://acme.example.com/directory"


def settings(
    *http: str, tls: str = "", webroot: str = "", authority: str = DISTANT
) -> Configuration:
    written: dict[str, object] = {"http-01": {"listen": list(http)} if http else {}}
    if webroot:
        written["http-01"] = {"webroot": webroot}
    if tls:
        written["tls-alpn-01"] = {"listen": [tls]}
    return Configuration.model_validate(
        {
            "challenges": written,
            "authorities": {name: {"directory_url": authority} for name in TARGET.authorities},
            "gateways": {"hq": {"hostname": "hq.example.com"}},
        }
    )


def somebody(port: int) -> str | None:
    return "nginx (pid 7)" if port == 80 else ""


def nobody(_port: int) -> str | None:
    return None


def found(challenges: Configuration, *, start: int = 1024) -> tuple[OpenListener, ...]:
    return open_listeners(challenges, [BOTH], unprivileged=start, find_process=somebody)


@pytest.mark.parametrize(
    "configuration",
    [
        settings(),
        settings("127.0.0.1:888"),
        settings("127.0.0.1:1023", "[::1]:888"),
        settings("127.0.0.1:888", tls="127.0.0.1:844"),
        settings(webroot="/var/www/html"),
    ],
)
def test_privileged_ports_are_safe(configuration: Configuration) -> None:
    assert found(configuration) == ()


@pytest.mark.parametrize("address", ["127.0.0.1:1024", "[::1]:8089", "0.0.0.0:8089"])
def test_unprivileged_ports_are_open_to_any_user(address: str) -> None:
    (listener,) = found(settings(address))
    finding = listener_finding(listener)
    assert (finding.code, finding.fails) == ("listener-exposed", True)
    assert (
        finding.seen == f"challenges.http-01.listen {address}, and nginx (pid 7) listens on port 80"
    )
    assert "127.0.0.1:888" in finding.fix
    assert "webroot" in finding.fix
    assert found(settings(address), start=20_000) == ()
    assert found(settings("127.0.0.1:888"), start=0) != ()


def test_tls_alpn_01_is_checked_on_port_443() -> None:
    (listener,) = found(settings(tls="127.0.0.1:10443"))
    finding = listener_finding(listener)
    assert "another process listens on port 443" in finding.seen
    assert "127.0.0.1:844" in finding.fix
    assert "webroot" not in finding.fix


@pytest.mark.parametrize("address", ["127.0.0.1:8089", "[::1]:8089", "127.8.0.1:8089"])
def test_something_has_to_forward_to_a_loopback_address(address: str) -> None:
    (listener,) = open_listeners(
        settings(address), [TARGET], unprivileged=1024, find_process=nobody
    )
    finding = listener_finding(listener)
    assert (finding.code, finding.fails) == ("listener-exposed", True)
    assert finding.seen == (
        f"challenges.http-01.listen {address}, which a CA on another host reaches only if "
        "something forwards to it"
    )
    assert "127.0.0.1:888" in finding.fix


@pytest.mark.parametrize(
    "authority",
    ["https://127.0.0.1:14000/dir", "https://[::1]:14000/dir", "https://localhost:14000/dir"],
)
def test_a_ca_on_this_host_connects_to_a_loopback_address(authority: str) -> None:
    (listener,) = open_listeners(
        settings("127.0.0.1:5002", authority=authority),
        [TARGET],
        unprivileged=1024,
        find_process=nobody,
    )
    assert listener_finding(listener).code == "listener-unprivileged"


def test_one_distant_ca_is_enough() -> None:
    configuration = settings("127.0.0.1:5002", authority="https://127.0.0.1:14000/dir")
    other = replace(TARGET, authorities=("letsencrypt",))
    (listener,) = open_listeners(
        configuration, [TARGET, other], unprivileged=1024, find_process=nobody
    )
    assert listener_finding(listener).fails


def test_containers_of_a_pod_share_the_loopback_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container, "in_container", True)
    (listener,) = open_listeners(
        settings("127.0.0.1:8080"), [TARGET], unprivileged=1024, find_process=nobody
    )
    assert listener_finding(listener).fails


def test_open_port_without_forwarder_is_a_note() -> None:
    (listener,) = open_listeners(
        settings("0.0.0.0:5002"), [TARGET], unprivileged=1024, find_process=nobody
    )
    finding = listener_finding(listener)
    assert (finding.code, finding.fails) == ("listener-unprivileged", False)


def test_gatecert_itself_is_no_forwarder() -> None:
    (listener,) = found(settings("0.0.0.0:80", "127.0.0.1:8089"))
    assert listener == OpenListener("http-01", Endpoint("127.0.0.1", 8089), None)


def test_unused_challenges_are_ignored() -> None:
    by_record = replace(TARGET, challenges=("dns-01",))
    challenges = settings("127.0.0.1:8089", tls="127.0.0.1:10443")
    assert open_listeners(challenges, [by_record], unprivileged=1024, find_process=nobody) == ()
    assert len(found(challenges)) == 2


def test_first_unprivileged_port_comes_from_the_kernel() -> None:
    assert open_listeners(settings("127.0.0.1:60000"), [TARGET], find_process=nobody) != ()


@pytest.mark.parametrize(("find_process", "lines"), [(somebody, 1), (nobody, 0)])
def test_exposed_listener_is_logged(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    find_process: Callable[[int], str | None],
    lines: int,
) -> None:
    monkeypatch.setattr(listening, "listening_process", find_process)
    warn(settings("0.0.0.0:60089"), [TARGET])
    assert len(caplog.messages) == lines
    assert all("such as 127.0.0.1:888" in message for message in caplog.messages)
