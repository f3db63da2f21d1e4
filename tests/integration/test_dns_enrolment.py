"""Enrolment with challenges over DNS, with Pebble and a real BIND that gatecert updates."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

from harness.named import Named, TsigKey, Zone
from harness.pebble import Pebble, PebbleOptions
from harness.waiting import wait_until

if TYPE_CHECKING:
    from contextlib import ExitStack
    from pathlib import Path

    from harness.gatecert import Gatecert

BOSTON = "boston"
HOSTNAME = "vpn.example.com"
NAME = f"_acme-challenge.{HOSTNAME}"
HOST = ("vpn IN A 127.0.0.1", "* IN A 127.0.0.1")


@pytest.fixture
def key() -> TsigKey:
    return TsigKey()


@pytest.fixture
def named(servers: ExitStack, tmp_path: Path, key: TsigKey) -> Named:
    zone = Zone("example.com", records=HOST)
    return servers.enter_context(Named(tmp_path / "named", zones=[zone], keys=[key]))


@pytest.fixture
def authority(servers: ExitStack, tmp_path: Path, named: Named) -> Pebble:
    return servers.enter_context(
        Pebble(
            tmp_path / "pebble",
            dns_server=named.address,
            options=PebbleOptions(reused_authorizations=0),
        )
    )


def rfc2136(directory: Path, named: Named, key: TsigKey, **more: object) -> dict[str, Any]:
    secret_file = key.write_secret(directory / "tsig.secret")
    return {
        "provider": "rfc2136",
        "server": named.address,
        "tsig": {"name": key.name, "algorithm": key.algorithm, "secret_file": str(secret_file)},
        "ttl": "1s",
        "authoritative": [named.address],
        **more,
    }


def names_in(gatecert: Gatecert) -> set[str]:
    from cryptography import x509  # noqa: PLC0415

    certificate = gatecert.certificate(BOSTON)
    assert certificate is not None
    extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return set(extension.value.get_values_for_type(x509.DNSName))


def test_dns_01_enrols_names_and_wildcards_together(
    gatecert: Gatecert, authority: Pebble, named: Named, tmp_path: Path, key: TsigKey
) -> None:
    gatecert.use(authority, named)
    gatecert.configuration["challenges"]["dns-01"] = rfc2136(tmp_path, named, key)
    gatecert.add_gateway(
        BOSTON,
        HOSTNAME,
        alternative_names=["example.com", "*.example.com", "*.vpn.example.com"],
        challenge="dns-01",
    ).write()

    result = gatecert.run("enroll", BOSTON)

    assert result.exit_code == 0, result.errors + result.output
    assert names_in(gatecert) == {
        HOSTNAME, "example.com", "*.example.com", "*.vpn.example.com",
    }  # fmt: skip
    assert "test record found" in findings(gatecert)["challenge-ok"]["seen"]
    assert named.texts(NAME) == []
    assert named.texts("_acme-challenge.example.com") == []
    assert list((gatecert.state_directory / "records").iterdir()) == []


def test_dns_account_01_enrols(
    gatecert: Gatecert, authority: Pebble, named: Named, tmp_path: Path, key: TsigKey
) -> None:
    gatecert.use(authority, named)
    gatecert.configuration["challenges"]["dns-01"] = rfc2136(tmp_path, named, key)
    gatecert.add_gateway(BOSTON, HOSTNAME, challenge="dns-account-01").write()

    result = gatecert.run("enroll", BOSTON)

    assert result.exit_code == 0, result.errors + result.output
    assert gatecert.is_enrolled(BOSTON)


HOOK = """\
#!{python}
import sys
import dns.query, dns.tsigkeyring, dns.update
action, name, value = sys.argv[1:]
keyring = dns.tsigkeyring.from_text({{"gatecert": ("hmac-sha256", "{secret}")}})
update = dns.update.UpdateMessage("example.com.", keyring=keyring)
change = {{"present": lambda *it: update.add(name + ".", 1, *it),
           "clean-up": lambda *it: update.delete(name + ".", *it)}}[action]
change("TXT", value)
answer = dns.query.tcp(update, "127.0.0.1", port={port}, timeout=5)
sys.exit(answer.rcode())
"""


def test_a_command_of_the_operator_enrols(
    gatecert: Gatecert, authority: Pebble, named: Named, tmp_path: Path, key: TsigKey
) -> None:
    hook = tmp_path / "dns-hook"
    hook.write_text(HOOK.format(python=sys.executable, secret=key.secret, port=named.port), "utf-8")
    hook.chmod(0o700)
    gatecert.use(authority, named)
    gatecert.configuration["challenges"]["dns-01"] = {
        "provider": "exec",
        "command": [str(hook)],
        "authoritative": [named.address],
    }
    gatecert.add_gateway(BOSTON, HOSTNAME, challenge="dns-01").write()

    result = gatecert.run("enroll", BOSTON)

    assert result.exit_code == 0, result.errors + result.output
    assert gatecert.is_enrolled(BOSTON)
    assert named.texts(NAME) == []


def test_the_record_is_published_at_the_target_of_an_alias(
    gatecert: Gatecert, servers: ExitStack, tmp_path: Path, key: TsigKey
) -> None:
    alias = f"{NAME}. IN CNAME vpn.challenges.example.net."
    zones = [
        Zone("example.com", records=(*HOST, alias), keys=()),
        Zone("challenges.example.net"),
    ]
    named = servers.enter_context(Named(tmp_path / "named", zones=zones, keys=[key]))
    # A nameserver follows no alias into another zone, even if it serves both; a resolver does.
    resolver = servers.enter_context(
        Named(
            tmp_path / "resolver",
            zones=[Zone(zone.name, forwarder=named.address) for zone in zones],
        )
    )
    authority = servers.enter_context(Pebble(tmp_path / "pebble", dns_server=resolver.address))
    gatecert.use(authority, resolver)
    gatecert.configuration["challenges"]["dns-01"] = rfc2136(tmp_path, named, key)
    gatecert.add_gateway(BOSTON, HOSTNAME, challenge="dns-01").write()

    result = gatecert.run("enroll", BOSTON)

    assert result.exit_code == 0, result.errors + result.output
    # After a query that is too early, the resolver would cache that the record does not exist.
    assert set(resolver.questions(NAME)) == {"TXT"}
    assert named.texts("vpn.challenges.example.net") == []


def findings(gatecert: Gatecert) -> dict[str, dict[str, Any]]:
    document = gatecert.run("doctor", BOSTON, "--json").json()
    return {each["code"]: each for each in document["findings"]}


def test_dns_persist_01_says_what_to_publish_and_where_it_is_missing(
    servers: ExitStack,
    gatecert: Gatecert,
    authority: Pebble,
    named: Named,
    tmp_path: Path,
    key: TsigKey,
) -> None:
    behind = servers.enter_context(
        Named(tmp_path / "behind", zones=[Zone("example.com", keys=("gatecert",))], keys=[key])
    )
    gatecert.use(authority, named)
    both = {"authoritative": [named.address, behind.address]}
    gatecert.configuration["challenges"]["dns-persist-01"] = both
    gatecert.add_gateway(
        BOSTON, HOSTNAME, alternative_names=[f"*.{HOSTNAME}"], challenge="dns-persist-01"
    )
    gatecert.write()

    refused = gatecert.run("enroll", BOSTON)
    assert refused.exit_code == 1
    assert "gatecert dns-record boston" in refused.errors
    assert "gatecert dns-record boston" in findings(gatecert)["challenge"]["fix"]
    assert "gatecert dns-record boston" in gatecert.run("check").errors

    printed = gatecert.run("dns-record", BOSTON)
    assert printed.exit_code == 0, printed.errors
    comment, line = printed.output.splitlines()
    assert comment.startswith("; boston: for CA pebble")
    name, _, value = line.partition(" IN TXT ")
    value = value.strip('"')
    assert name == f"_validation-persist.{HOSTNAME}."
    assert value.startswith("pebble.letsencrypt.org; accounturi=https://")
    assert value.endswith("; policy=wildcard")
    assert gatecert.run("dns-record").output == printed.output  # the same account
    limited = gatecert.run("dns-record", BOSTON, "--until", "2099-12-31").output
    assert "; persistUntil=4102444799" in limited
    assert gatecert.run("dns-record", BOSTON, "--until", "2020-01-01").exit_code == 2

    publish(named, key, name, value)
    publish(behind, key, name, value.replace("; policy=wildcard", ""))
    checked = gatecert.run("check")
    assert checked.exit_code == 1
    assert f"publish {line}" in checked.errors
    wrong = findings(gatecert)["record-not-visible"]
    assert behind.address in wrong["seen"]
    assert named.address not in wrong["seen"]
    assert "lacks policy=wildcard" in wrong["seen"]
    assert wrong["fix"] == f"publish {line}"
    assert gatecert.run("enroll", BOSTON, "--force").exit_code == 1
    status = gatecert.status(BOSTON)
    assert (status["last_error"]["code"], status["failures"]) == ("record-not-visible", 0)
    assert authority.orders() == 0

    publish(behind, key, name, value)
    assert "every nameserver has its dns-persist-01 records" in gatecert.run("check").output
    assert "challenge-ok" in findings(gatecert)
    accepted = gatecert.run("enroll", BOSTON, "--force")
    assert accepted.exit_code == 0, accepted.errors + accepted.output
    assert names_in(gatecert) == {HOSTNAME, f"*.{HOSTNAME}"}
    assert named.texts(f"_validation-persist.{HOSTNAME}") == [value]


def test_records_are_printed_only_if_needed(
    gatecert: Gatecert, authority: Pebble, named: Named
) -> None:
    gatecert.use(authority, named)
    gatecert.add_gateway(BOSTON, HOSTNAME).write()
    for arguments in ((BOSTON,), (), ("bostn",)):
        result = gatecert.run("dns-record", *arguments)
        assert (result.exit_code, result.output) == (2, "")
    assert not [each for each in authority.requests() if each.startswith("POST")]


def publish(named: Named, key: TsigKey, name: str, value: str) -> None:
    import dns.query  # noqa: PLC0415
    import dns.tsigkeyring  # noqa: PLC0415
    import dns.update  # noqa: PLC0415

    keyring = dns.tsigkeyring.from_text({key.name: (key.algorithm, key.secret)})
    update = dns.update.UpdateMessage("example.com.", keyring=keyring)
    update.add(name, 1, "TXT", f'"{value}"')
    assert dns.query.tcp(update, "127.0.0.1", port=named.port, timeout=5).rcode() == 0


def test_a_record_left_by_a_killed_daemon_is_removed_at_the_next_start(
    gatecert: Gatecert,
    servers: ExitStack,
    authority: Pebble,
    named: Named,
    tmp_path: Path,
    key: TsigKey,
) -> None:
    behind = servers.enter_context(
        Named(tmp_path / "behind", zones=[Zone("example.com", primary=named.address)])
    )
    dns_01 = rfc2136(tmp_path, named, key, authoritative=[named.address, behind.address])
    gatecert.use(authority, named)
    gatecert.configuration["challenges"]["dns-01"] = dns_01
    gatecert.add_gateway(BOSTON, HOSTNAME, challenge="dns-01").start()
    gatecert.wait_logged("proving control")  # a trial record was there before
    wait_until(lambda: named.texts(NAME), "a record", explain=gatecert.process.tail)
    gatecert.process.kill()
    left = named.texts(NAME)

    # The next start resumes the order with the same record, which is now visible everywhere.
    dns_01["authoritative"] = [named.address]
    gatecert.start()
    gatecert.wait_enrolled(BOSTON)

    assert len(left) == 1
    wait_until(lambda: not named.texts(NAME), "the record to go", explain=gatecert.process.tail)


def test_an_unknown_key_is_one_clear_line(
    gatecert: Gatecert, authority: Pebble, named: Named, tmp_path: Path
) -> None:
    stranger = TsigKey()
    gatecert.use(authority, named)
    gatecert.configuration["challenges"]["dns-01"] = rfc2136(tmp_path, named, stranger)
    gatecert.add_gateway(BOSTON, HOSTNAME, challenge="dns-01").write()

    found = findings(gatecert)["challenge"]
    result = gatecert.run("enroll", BOSTON)

    assert result.exit_code == 1
    said = result.errors + result.output
    assert found["seen"].removeprefix("dns-01: ") in said
    assert gatecert.status(BOSTON)["last_error"]["code"] == "challenge"
    assert authority.orders() == 0
    assert "BADSIG" in said
    assert "challenges.dns-01.tsig.secret_file" in said
    assert stranger.secret not in said
    assert "Traceback" not in said
