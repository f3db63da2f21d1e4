"""Dynamic DNS with the real daemon: names without a record, changed addresses, and every refusal.

The services answer at their own names, and zones are changed in a real BIND.
"""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from harness.dns_services import (
    CLOUDFLARE,
    DESEC_UPDATE,
    DUCKDNS,
    MY_ADDRESS,
    NO_IP,
    TOKEN,
    Answer,
    DnsServices,
    zones,
)
from harness.gatecert import Gatecert
from harness.named import Named, TsigKey
from harness.network import PrivateNetwork
from harness.pebble import Pebble, PebbleOptions, PebblePorts
from harness.process import program

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import ExitStack
    from pathlib import Path


BOSTON = "boston"
FIRST, SECOND, SIX = "100.200.30.40", "100.200.30.41", "2a00:1450:4001::7"
CUSTOMERS = ("ddns.net", "boston.dedyn.io", "dedyn.io", "duckdns.org", "example.com")
HOSTNAME = "boston.ddns.net"


def address(action: str, value: str) -> None:
    """Add or remove an address of the gateway."""
    length = 128 if ":" in value else 32
    nodad = ["nodad"] if ":" in value and action == "add" else []
    subprocess.run(
        [program("ip"), "address", action, f"{value}/{length}", "dev", "lo", *nodad], check=True
    )


@pytest.fixture
def network(tmp_path: Path) -> Iterator[PrivateNetwork]:
    with PrivateNetwork(tmp_path / "network", addresses=[f"{FIRST}/32"]) as entered:
        yield entered


@pytest.fixture
def servers(network: PrivateNetwork, servers: ExitStack) -> ExitStack:  # noqa: ARG001
    """Stop the servers before the network namespace ends."""
    return servers


@pytest.fixture
def key() -> TsigKey:
    return TsigKey()


@pytest.fixture
def named(servers: ExitStack, tmp_path: Path, key: TsigKey) -> Named:
    made = zones(FIRST, *CUSTOMERS)
    return servers.enter_context(Named(tmp_path / "named", zones=made, keys=[key], port=53))


@pytest.fixture
def services(servers: ExitStack, tmp_path: Path, named: Named, key: TsigKey) -> DnsServices:
    made = servers.enter_context(
        DnsServices(tmp_path / "services", named, key, seen=FIRST, customer="example.com")
    )
    made.hosts[HOSTNAME] = "ops"
    return made


@pytest.fixture
def pebble(servers: ExitStack, tmp_path: Path, named: Named) -> Pebble:
    return servers.enter_context(
        Pebble(
            tmp_path / "pebble",
            dns_server=named.address,
            options=PebbleOptions(reused_authorizations=0),
            ports=PebblePorts(http01=80),
        )
    )


@pytest.fixture
def password(tmp_path: Path) -> Path:
    path = tmp_path / "password"
    path.touch(0o600)
    path.write_text(f"{TOKEN}\n", "ascii")
    return path


@pytest.fixture
def gateway(
    network: PrivateNetwork, pebble: Pebble, named: Named, services: DnsServices, tmp_path: Path
) -> Iterator[Gatecert]:
    """The command, with a CA and a nameserver but no gateway yet."""
    command = Gatecert(tmp_path / "gatecert", environment=services.environment, network=network)
    command.use(pebble, named)
    command.configuration["challenges"]["http-01"] = {"listen": ["0.0.0.0:80"]}
    yield command
    command.__exit__(None, None, None)


def keep(gatecert: Gatecert, hostname: str = HOSTNAME, **ddns: object) -> None:
    """Add the gateway, without configured addresses."""
    gatecert.add_gateway(BOSTON, hostname, addresses=[], ddns={"interval": "1s", **ddns})


def no_ip(password: Path, **more: object) -> dict[str, Any]:
    return {
        "provider": "dyndns2",
        "service": "noip",
        "username": "ops",
        "password_file": str(password),
        **more,
    }


def problem(gatecert: Gatecert) -> str:
    return str(gatecert.status(BOSTON)["ddns"]["code"])


def wait_problem(gatecert: Gatecert, code: str) -> dict[str, Any]:
    gatecert.wait_for(lambda: problem(gatecert) == code, f"the problem {code!r}")
    found: dict[str, Any] = gatecert.status(BOSTON)["ddns"]
    return found


# --------------------------------------------------------------------- a zone of one's own


def test_a_name_without_a_record_is_published_and_enrolled_over_http_01(
    gateway: Gatecert, named: Named, key: TsigKey, tmp_path: Path
) -> None:
    secret_file = key.write_secret(tmp_path / "tsig.secret")
    tsig = {"name": key.name, "secret_file": str(secret_file)}
    keep(gateway, "vpn.example.com", provider="rfc2136", server=named.address, tsig=tsig, ttl="1s")
    assert named.records("vpn.example.com", "A") == []

    gateway.start()

    gateway.wait_enrolled(BOSTON)
    assert named.records("vpn.example.com", "A") == [FIRST]
    assert "NXDOMAIN" not in gateway.process.output


def test_changed_addresses_are_published_and_stale_ones_removed(
    gateway: Gatecert, named: Named, key: TsigKey, tmp_path: Path
) -> None:
    secret_file = key.write_secret(tmp_path / "tsig.secret")
    tsig = {"name": key.name, "secret_file": str(secret_file)}
    keep(
        gateway,
        "vpn.example.com",
        provider="rfc2136",
        server=named.address,
        tsig=tsig,
        ttl="1s",
        remove_stale=True,
    )
    address("add", SIX)
    gateway.start()
    gateway.wait_for(lambda: named.records("vpn.example.com", "AAAA") == [SIX], "the AAAA record")

    address("del", SIX)
    gateway.wait_for(lambda: not named.records("vpn.example.com", "AAAA"), "its removal")
    address("add", SECOND)
    address("del", FIRST)
    gateway.wait_for(lambda: named.records("vpn.example.com", "A") == [SECOND], "the new address")


def test_a_wrong_key_is_refused_once_and_works_after_its_file_changes(
    gateway: Gatecert, named: Named, key: TsigKey, tmp_path: Path
) -> None:
    secret_file = TsigKey().write_secret(tmp_path / "tsig.secret")
    tsig = {"name": key.name, "secret_file": str(secret_file)}
    keep(gateway, "vpn.example.com", provider="rfc2136", server=named.address, tsig=tsig, ttl="1s")
    gateway.start()

    found = wait_problem(gateway, "ddns-refused")
    assert "BADSIG" in found["error"]
    assert "gateways.boston.ddns.tsig.secret_file" in found["fix"]
    assert gateway.last_error(BOSTON) == "ddns-refused"
    secret_file.write_text(f"{key.secret}\n", "ascii")

    gateway.wait_enrolled(BOSTON)
    assert problem(gateway) == ""


# --------------------------------------------------------------------- services


def test_an_accepted_address_is_never_sent_again(
    gateway: Gatecert, services: DnsServices, password: Path
) -> None:
    services.set(HOSTNAME, "A", ["100.200.99.99"])
    keep(gateway, **no_ip(password))
    gateway.start()
    gateway.wait_enrolled(BOSTON)
    (sent,) = services.asked(NO_IP)
    assert sent.parameters == {"hostname": HOSTNAME, "myip": FIRST}
    assert sent.agent.startswith("gatecert/")

    gateway.look_again()
    gateway.wait_logged("starting a pass over every gateway")
    gateway.process.stop()
    gateway.start()
    gateway.wait_for(lambda: "address" in gateway.run("status", BOSTON).output, "the status")
    assert gateway.run("enroll", BOSTON).exit_code == 0
    assert len(services.asked(NO_IP)) == 1


def test_a_name_that_is_right_already_needs_no_update(
    gateway: Gatecert, services: DnsServices, password: Path
) -> None:
    services.set(HOSTNAME, "A", [FIRST])
    keep(gateway, **no_ip(password))
    gateway.start()
    gateway.wait_enrolled(BOSTON)
    assert gateway.status(BOSTON)["ddns"]["addresses"] == [FIRST]
    assert services.asked(NO_IP) == []


@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        (Answer("badauth", 401), "ddns-refused", "does not accept the user name or the password"),
        (Answer("nohost"), "ddns-refused", f"has no host {HOSTNAME}"),
        (Answer("abuse"), "ddns-blocked", "has blocked"),
        (Answer("911"), "ddns-unreachable", "maintenance"),
        (Answer("<html>\x1b[2J</html>", 200), "ddns-refused", "no answer of the dyndns2 protocol"),
        (Answer("", 503, {"Retry-After": "3600"}), "ddns-unreachable", "asks to wait"),
        (
            Answer("", 302, {"Location": f"https://{MY_ADDRESS}/"}),
            "ddns-unreachable",
            "redirects",
        ),
    ],
    ids=lambda value: str(getattr(value, "body", ""))[:8] + str(getattr(value, "status", "")),
)
def test_what_a_service_refuses_is_not_repeated_and_stops_no_certificate(
    gateway: Gatecert,
    services: DnsServices,
    password: Path,
    answer: Answer,
    code: str,
    words: str,
) -> None:
    services.answers[NO_IP] = [answer] * 9
    services.set(HOSTNAME, "A", [FIRST, "100.200.99.99"])
    keep(gateway, **no_ip(password))
    gateway.start()

    found = wait_problem(gateway, code)
    assert words in found["error"]
    assert found["error"].isprintable()
    services.set(HOSTNAME, "A", [FIRST])
    gateway.wait_enrolled(BOSTON)  # the name points here, by another client

    assert len(services.asked(NO_IP)) == 1
    assert services.asked(MY_ADDRESS) == []  # the password goes nowhere else
    shown = gateway.run("doctor", BOSTON)
    assert code in shown.output
    assert words in " ".join(shown.output.split())
    assert TOKEN not in gateway.process.output + shown.output


def test_a_service_that_is_down_is_tried_again(
    gateway: Gatecert, services: DnsServices, password: Path
) -> None:
    services.set(HOSTNAME, "A", ["100.200.99.99"])
    services.stop()
    keep(gateway, **no_ip(password))
    gateway.start()
    found = wait_problem(gateway, "ddns-unreachable")
    assert "dynupdate.no-ip.com cannot be reached" in found["error"]
    waiting = gateway.status(BOSTON)
    assert waiting["last_error"]["code"] == "ddns-unreachable"
    services.start()

    gateway.look_again()

    gateway.wait_enrolled(BOSTON)
    assert services.records(HOSTNAME, "A") == [FIRST]


def test_desec_keeps_or_removes_the_other_record(
    gateway: Gatecert, services: DnsServices, password: Path
) -> None:
    hostname = "boston.dedyn.io"
    services.hosts[hostname] = hostname
    services.set(hostname, "AAAA", ["2a00:1450:4001::99"])
    ddns = {"provider": "dyndns2", "service": "desec", "password_file": str(password)}
    keep(gateway, hostname, **ddns)
    gateway.start()
    gateway.wait_for(lambda: services.records(hostname, "A") == [FIRST], "the A record")
    assert services.records(hostname, "AAAA") == ["2a00:1450:4001::99"]

    keep(gateway, hostname, **ddns, remove_stale=True)
    gateway.reload()

    gateway.wait_for(lambda: not services.records(hostname, "AAAA"), "the removal")
    gateway.wait_enrolled(BOSTON)
    assert services.updates(DESEC_UPDATE) == [
        {"hostname": hostname, "myipv4": FIRST, "myipv6": "preserve"},
        {"hostname": hostname, "myipv4": FIRST, "myipv6": ""},
    ]


def test_duckdns_removes_both_records_and_sets_one_again(
    gateway: Gatecert, services: DnsServices, password: Path
) -> None:
    hostname = "boston.duckdns.org"
    services.set(hostname, "A", ["100.200.99.99"])
    services.set(hostname, "AAAA", ["2a00:1450:4001::99"])
    credentials = {"auth_token": str(password)}
    keep(gateway, hostname, provider="duckdns", credentials=credentials, remove_stale=True)
    gateway.use_debug()
    gateway.start()

    gateway.wait_enrolled(BOSTON)
    assert services.records(hostname, "A") == [FIRST]
    assert services.records(hostname, "AAAA") == []
    assert [sorted(each) for each in services.updates(DUCKDNS)] == [
        ["clear", "domains", "verbose"],
        ["domains", "ip", "verbose"],
    ]
    assert "www.duckdns.org/update" in gateway.process.output
    assert TOKEN not in gateway.process.output
    assert "T0ken%2F" not in gateway.process.output  # nor as it is written in a URL


def test_a_wrong_duckdns_token_is_refused(
    gateway: Gatecert, services: DnsServices, password: Path
) -> None:
    password.write_text("another", "ascii")
    services.set("boston.duckdns.org", "A", ["100.200.99.99"])
    credentials = {"auth_token": str(password)}
    keep(gateway, "boston.duckdns.org", provider="duckdns", credentials=credentials)
    gateway.start()
    assert "(KO)" in wait_problem(gateway, "ddns-refused")["error"]


def test_a_provider_of_lexicon_changes_only_what_is_wrong(
    gateway: Gatecert, services: DnsServices, password: Path
) -> None:
    services.set("vpn.example.com", "A", ["100.200.99.99", "100.200.99.98"])
    services.set("www.example.com", "A", ["100.200.99.99"])
    credentials = {"auth_token": str(password)}
    keep(gateway, "vpn.example.com", provider="cloudflare", credentials=credentials)
    gateway.start()

    gateway.wait_enrolled(BOSTON)
    assert services.records("vpn.example.com", "A") == [FIRST]
    assert services.records("www.example.com", "A") == ["100.200.99.99"]


def test_a_wrong_token_of_a_provider_of_lexicon_is_refused_and_hidden(
    gateway: Gatecert, services: DnsServices, password: Path
) -> None:
    services.token = "another"  # noqa: S105 - of no account
    credentials = {"auth_token": str(password)}
    keep(gateway, "vpn.example.com", provider="cloudflare", credentials=credentials)
    gateway.start()

    found = wait_problem(gateway, "ddns-refused")
    assert "cloudflare does not accept the credentials" in found["error"]
    assert "gateways.boston.ddns.credentials.auth_token" in found["fix"]
    assert TOKEN not in gateway.process.output
    asked = len(services.asked(CLOUDFLARE))
    gateway.look_again()
    gateway.wait_for(lambda: len(services.asked(CLOUDFLARE)) > asked, "another attempt")


# --------------------------------------------------------------------- sources


def test_a_web_service_tells_the_address(
    gateway: Gatecert, services: DnsServices, password: Path
) -> None:
    services.seen = SECOND
    services.set(HOSTNAME, "A", ["100.200.99.99"])
    keep(gateway, **no_ip(password, source={"https": f"https://{MY_ADDRESS}/"}))
    gateway.start()
    gateway.wait_for(lambda: services.records(HOSTNAME, "A") == [SECOND], "the seen address")

    services.answers[MY_ADDRESS] = [Answer("no idea")] * 100
    found = wait_problem(gateway, "ddns-no-address")
    assert f"{MY_ADDRESS} (status 200) has no address" in found["error"]
    assert services.records(HOSTNAME, "A") == [SECOND]


def test_an_interface_that_is_missing_is_waited_for(
    gateway: Gatecert, services: DnsServices, password: Path
) -> None:
    services.set(HOSTNAME, "A", ["100.200.99.99"])
    keep(gateway, **no_ip(password, source={"interface": "ppp0"}))
    gateway.start()
    assert "no network interface ppp0" in wait_problem(gateway, "ddns-no-address")["error"]

    for command in (["link", "add", "ppp0", "type", "bridge"], ["link", "set", "ppp0", "up"]):
        subprocess.run([program("ip"), *command], check=True)
    subprocess.run([program("ip"), "address", "add", f"{SECOND}/32", "dev", "ppp0"], check=True)

    gateway.wait_for(lambda: services.records(HOSTNAME, "A") == [SECOND], "its address")
