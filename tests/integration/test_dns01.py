"""Records in a real BIND: published, visible at every nameserver, removed; and all refusals."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from gatecert.challenge.solver import Challenge, LeftoverCleaner, Solver
from gatecert.challenge.solvers import dns_solvers
from gatecert.config.schema import ChallengeSettings, ResolverSettings
from gatecert.deadline import Deadline
from gatecert.errors import (
    GatecertError,
    ProviderNotContactedError,
    RecordNotVisibleError,
    RecordRefusedError,
)
from gatecert.model import Identifier, IdentifierType
from gatecert.store.file_store import FileStore
from harness.named import Named, TsigKey, Zone
from harness.ports import free_port

if TYPE_CHECKING:
    from contextlib import ExitStack
    from pathlib import Path

NAME = "_acme-challenge.vpn.example.com"
ALGORITHMS = ["hmac-sha256", "hmac-sha384", "hmac-sha512"]


def challenge(name: str = "vpn.example.com", token: str = "token") -> Challenge:  # noqa: S107
    return Challenge("dns-01", Identifier(IdentifierType.DNS, name), token, f"{token}.thumbprint")


def settings(directory: Path, server: str, key: TsigKey, **more: object) -> dict[str, Any]:
    """Return the configuration below ``challenges.dns-01``."""
    secret_file = key.write_secret(directory / f"{key.name}.secret")
    tsig = {"name": key.name, "algorithm": key.algorithm, "secret_file": str(secret_file)}
    return {
        "provider": "rfc2136",
        "server": server,
        "tsig": tsig,
        "ttl": "1s",
        "authoritative": [server],
        "propagation_timeout": "5s",
        **more,
    }


def solver(directory: Path, nameserver: Named, dns_01: dict[str, Any]) -> Solver:
    return dns_solvers(
        ChallengeSettings.model_validate({"dns-01": dns_01}),
        ResolverSettings.model_validate({"nameservers": [nameserver.address]}),
        FileStore(directory / "state"),
        lambda: datetime.now(UTC),
    )["dns-01"]


def journal(directory: Path) -> list[str]:
    return [published.record.name for published in FileStore(directory / "state").records()]


@pytest.fixture
def key() -> TsigKey:
    return TsigKey()


@pytest.fixture
def named(servers: ExitStack, tmp_path: Path, key: TsigKey) -> Named:
    return servers.enter_context(
        Named(tmp_path / "named", zones=[Zone("example.com")], keys=[key], ipv6=True)
    )


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_record_is_published_and_removed(
    servers: ExitStack, tmp_path: Path, algorithm: str
) -> None:
    key = TsigKey(algorithm=algorithm)
    named = servers.enter_context(
        Named(tmp_path / "named", zones=[Zone("example.com")], keys=[key])
    )
    answers = solver(tmp_path, named, settings(tmp_path, named.address, key))

    answers.present(challenge())
    answers.wait(challenge(), Deadline.after(5))

    assert len(named.texts(NAME)) == 1
    assert journal(tmp_path) == [NAME]
    answers.clean_up(challenge())
    assert named.texts(NAME) == []
    assert journal(tmp_path) == []


def test_updates_go_over_ipv6(named: Named, tmp_path: Path, key: TsigKey) -> None:
    answers = solver(tmp_path, named, settings(tmp_path, f"[::1]:{named.port}", key))

    answers.present(challenge())
    answers.wait(challenge(), Deadline.after(5))

    assert len(named.texts(NAME)) == 1


def test_several_values_at_one_name_are_removed_one_by_one(
    named: Named, tmp_path: Path, key: TsigKey
) -> None:
    answers = solver(tmp_path, named, settings(tmp_path, named.address, key))
    apex, wildcard = challenge("example.com", "one"), challenge("*.example.com", "two")
    both = "_acme-challenge.example.com"

    for each in (apex, wildcard):
        answers.present(each)
    for each in (apex, wildcard):
        answers.wait(each, Deadline.after(5))

    assert len(named.texts(both)) == 2
    answers.clean_up(apex)
    assert len(named.texts(both)) == 1
    answers.clean_up(wildcard)
    assert named.texts(both) == []


def test_an_alias_is_followed_into_another_zone(
    servers: ExitStack, tmp_path: Path, key: TsigKey
) -> None:
    zones = [
        Zone(
            "example.com",
            records=("_acme-challenge.vpn IN CNAME vpn.challenges.example.net.",),
            keys=(),
        ),
        Zone("challenges.example.net"),
    ]
    named = servers.enter_context(Named(tmp_path / "named", zones=zones, keys=[key]))
    answers = solver(tmp_path, named, settings(tmp_path, named.address, key))

    answers.present(challenge())
    answers.wait(challenge(), Deadline.after(5))

    assert len(named.texts("vpn.challenges.example.net")) == 1
    answers.clean_up(challenge())
    assert named.texts("vpn.challenges.example.net") == []


def test_a_wildcard_is_no_delegation(servers: ExitStack, tmp_path: Path, key: TsigKey) -> None:
    zones = [
        Zone("example.com", records=("vpn IN A 127.0.0.1", "*.vpn IN CNAME edge.example.net.")),
        Zone("example.net", keys=()),
    ]
    named = servers.enter_context(Named(tmp_path / "named", zones=zones, keys=[key]))
    answers = solver(tmp_path, named, settings(tmp_path, named.address, key))

    answers.present(challenge())
    answers.wait(challenge(), Deadline.after(5))

    assert len(named.texts(NAME)) == 1
    answers.clean_up(challenge())
    assert named.texts(NAME) == []


def test_follow_aliases_false_follows_no_alias(
    servers: ExitStack, tmp_path: Path, key: TsigKey
) -> None:
    zone = Zone("example.com", records=("_acme-challenge.vpn IN CNAME edge.example.net.",))
    named = servers.enter_context(Named(tmp_path / "named", zones=[zone], keys=[key]))
    dns_01 = settings(tmp_path, named.address, key, follow_aliases=False)
    told = tmp_path / "told"
    hook = {"provider": "exec", "command": ["/bin/sh", "-c", f'echo "$2" >> {told}', "sh"]}
    kept = ("ttl", "authoritative", "propagation_timeout", "follow_aliases")
    answers = solver(tmp_path, named, {**hook, **{each: dns_01[each] for each in kept}})

    answers.present(challenge())
    answers.clean_up(challenge())

    assert told.read_text("ascii").split() == [NAME, NAME]


def test_recursive_propagation_without_access_to_nameservers(
    servers: ExitStack, named: Named, tmp_path: Path, key: TsigKey
) -> None:
    # BIND answers for a forwarded zone only recursive queries.
    resolver = servers.enter_context(
        Named(tmp_path / "resolver", zones=[Zone("example.com", forwarder=named.address)])
    )
    dns_01 = settings(tmp_path, named.address, key, propagation="recursive")
    del dns_01["authoritative"]
    answers = solver(tmp_path, resolver, dns_01)

    answers.present(challenge())
    answers.wait(challenge(), Deadline.after(10))

    assert "TXT" in resolver.questions(NAME)
    answers.clean_up(challenge())
    assert named.texts(NAME) == []


def test_nameservers_without_a_usable_answer_are_warnings_if_another_has_the_record(
    servers: ExitStack,
    named: Named,
    tmp_path: Path,
    key: TsigKey,
    caplog: pytest.LogCaptureFixture,
) -> None:
    refuses = servers.enter_context(Named(tmp_path / "refuses", zones=[Zone("example.org")]))
    lame = servers.enter_context(
        Named(tmp_path / "lame", zones=[Zone("example.com", forwarder=named.address)])
    )
    servers_of_the_zone = [refuses.address, lame.address, "nowhere.example.com", named.address]
    answers = solver(
        tmp_path, named, settings(tmp_path, named.address, key, authoritative=servers_of_the_zone)
    )

    answers.present(challenge())
    answers.wait(challenge(), Deadline.after(10))

    assert f"{refuses.address} answers REFUSED" in caplog.text
    assert "nowhere.example.com:53 has no address" in caplog.text
    assert f"{named.address} " not in caplog.text


def secondary(servers: ExitStack, directory: Path, primary: Named, refresh: int) -> Named:
    zone = Zone("example.com", primary=primary.address, refresh=refresh)
    return servers.enter_context(Named(directory / "secondary", zones=[zone]))


def test_gatecert_waits_for_a_delayed_secondary(
    servers: ExitStack, named: Named, tmp_path: Path, key: TsigKey
) -> None:
    behind = secondary(servers, tmp_path, named, refresh=1)
    both = [named.address, behind.address]
    answers = solver(tmp_path, named, settings(tmp_path, named.address, key, authoritative=both))

    answers.present(challenge())
    assert behind.texts(NAME) == []
    answers.wait(challenge(), Deadline.after(10))

    assert behind.texts(NAME) == named.texts(NAME) != []


def test_a_secondary_that_never_updates_is_named(
    servers: ExitStack, named: Named, tmp_path: Path, key: TsigKey
) -> None:
    behind = secondary(servers, tmp_path, named, refresh=3600)
    both = [named.address, behind.address]
    dns_01 = settings(tmp_path, named.address, key, authoritative=both, propagation_timeout="300ms")
    answers = solver(tmp_path, named, dns_01)

    answers.present(challenge())
    with pytest.raises(RecordNotVisibleError) as caught:
        answers.wait(challenge(), Deadline.after(10))

    assert f"{behind.address} does not have the record" in caught.value.message
    assert named.address not in caught.value.message
    assert "challenges.dns-01.propagation_timeout" in caught.value.fix


@pytest.mark.parametrize(
    ("wrong", "said", "setting"),
    [
        (TsigKey(name="stranger"), "BADKEY", "challenges.dns-01.tsig.name"),
        (TsigKey(algorithm="hmac-sha512"), "BADKEY", "challenges.dns-01.tsig.algorithm"),
        (TsigKey(), "BADSIG", "challenges.dns-01.tsig.secret_file"),
        (TsigKey(name="powerless"), "REFUSED", "update-policy { grant powerless"),
    ],
)
def test_a_wrong_key_is_one_clear_line(
    servers: ExitStack, tmp_path: Path, wrong: TsigKey, said: str, setting: str
) -> None:
    known = [TsigKey(), *([wrong] if wrong.name == "powerless" else [])]
    named = servers.enter_context(
        Named(tmp_path / "named", zones=[Zone("example.com")], keys=known)
    )
    answers = solver(tmp_path, named, settings(tmp_path, named.address, wrong))

    with pytest.raises(RecordRefusedError) as caught:
        answers.present(challenge())

    assert said in caught.value.message
    assert setting in caught.value.fix
    assert "\n" not in str(caught.value)
    assert wrong.secret not in str(caught.value)
    assert named.texts(NAME) == []
    assert journal(tmp_path) == []


def test_a_missing_zone_is_one_clear_line(
    servers: ExitStack, named: Named, tmp_path: Path, key: TsigKey
) -> None:
    elsewhere = servers.enter_context(
        Named(tmp_path / "elsewhere", zones=[Zone("example.org")], keys=[key])
    )
    answers = solver(tmp_path, named, settings(tmp_path, elsewhere.address, key))

    with pytest.raises(RecordRefusedError, match="is not the primary nameserver of the zone") as it:
        answers.present(challenge())

    assert "challenges.dns-01.server" in it.value.fix


def test_an_unreachable_server_is_one_clear_line_and_leaves_no_record(
    named: Named, tmp_path: Path, key: TsigKey
) -> None:
    absent = solver(tmp_path, named, settings(tmp_path, f"127.0.0.1:{free_port()}", key))

    with pytest.raises(ProviderNotContactedError, match="connection refused") as caught:
        absent.present(challenge())

    assert "challenges.dns-01.server" in caught.value.fix
    assert journal(tmp_path) == []


def test_after_an_update_without_an_answer_the_record_is_removed_later(
    named: Named, tmp_path: Path, key: TsigKey
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def hang_up() -> None:
            for _ in ("publish", "withdraw"):
                listener.accept()[0].close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        port = listener.getsockname()[1]
        deaf = solver(tmp_path, named, settings(tmp_path, f"127.0.0.1:{port}", key))
        with pytest.raises(GatecertError, match="cannot be updated"):
            deaf.present(challenge())
        thread.join()

    assert journal(tmp_path) == [NAME]
    present = solver(tmp_path, named, settings(tmp_path, named.address, key))
    assert isinstance(present, LeftoverCleaner)
    present.remove_leftovers()
    assert journal(tmp_path) == []


CRASH = """
import os, sys
from datetime import UTC, datetime
from pathlib import Path
import yaml
from gatecert.challenge.solvers import dns_solvers
from gatecert.challenge.solver import Challenge
from gatecert.config.schema import ChallengeSettings, ResolverSettings
from gatecert.model import Identifier, IdentifierType
from gatecert.store.file_store import FileStore
state, nameserver, dns_01 = yaml.safe_load(sys.stdin)
solver = dns_solvers(
    ChallengeSettings.model_validate({"dns-01": dns_01}),
    ResolverSettings.model_validate({"nameservers": [nameserver]}),
    FileStore(Path(state)),
    lambda: datetime.now(UTC),
)["dns-01"]
name = Identifier(IdentifierType.DNS, "vpn.example.com")
solver.present(Challenge("dns-01", name, "token", "token.crashed"))
os._exit(9)
"""


def test_records_of_a_crash_are_removed_and_those_in_use_stay(
    named: Named, tmp_path: Path, key: TsigKey
) -> None:
    dns_01 = settings(tmp_path, named.address, key)
    crashed = subprocess.run(
        [sys.executable, "-c", CRASH],
        input=yaml.safe_dump([str(tmp_path / "state"), named.address, dns_01]),
        text=True,
        check=False,
    )
    answers = solver(tmp_path, named, dns_01)
    answers.present(challenge())

    assert crashed.returncode == 9
    assert len(named.texts(NAME)) == 2
    assert isinstance(answers, LeftoverCleaner)
    answers.remove_leftovers()
    assert len(named.texts(NAME)) == 1
    answers.wait(challenge(), Deadline.after(5))
    answers.clean_up(challenge())
    assert named.texts(NAME) == []
