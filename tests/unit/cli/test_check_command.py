"""``gatecert check``, and ``gatecert dns-record`` on gateways that are never enrolled."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Protocol

import pytest
import yaml
from tests.fakes.fleet_files import FleetFiles

from gatecert import cli
from gatecert.certificate.bootstrap import bootstrap
from gatecert.challenge import listening
from gatecert.model import Identifier, IdentifierType, KeyPolicy

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

NOWHERE = "https://127.0.0.1:9/directory"
CHINESE = {"hostname": "vpn.example.cn"}
OWN = {"hostname": "vpn.example.com", "mode": "custom"}
USUAL = {"hostname": "vpn.example.com"}
BUILT_IN = ["built-in", "default"]
BY_RECORD = {"challenge": "dns-persist-01"}


class Run(Protocol):
    """Runs a command for some gateways; returns exit code, standard output and error."""

    def __call__(
        self,
        gateways: Mapping[str, Mapping[str, object]],
        *arguments: str,
        **authority: object,
    ) -> tuple[int, str, str]: ...


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    configuration = tmp_path / "config.yaml"

    def command(
        gateways: Mapping[str, Mapping[str, object]], *arguments: str, **authority: object
    ) -> tuple[int, str, str]:
        written = {
            "state_directory": str(tmp_path / "state"),
            "authorities": {"le": {"directory_url": NOWHERE, **authority}},
            "challenges": {"dns-persist-01": {}},
            "gateways": {name: dict(gateway) for name, gateway in gateways.items()},
        }
        configuration.write_text(yaml.dump(written), "utf-8")
        monkeypatch.setattr(sys, "argv", ["gatecert", "-c", str(configuration), *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.run()
        told = capsys.readouterr()
        return int(ended.value.code or 0), told.out, told.err

    return command


@pytest.mark.parametrize("gateway", [CHINESE, OWN])
def test_terms_are_not_required_for_gateways_that_are_never_enrolled(
    run: Run, gateway: dict[str, str]
) -> None:
    assert run({"vpn": gateway}, "check")[0] == 0


def test_missing_agreement_to_terms_fails(run: Run) -> None:
    code, _, errors = run({"vpn": USUAL, "peking": CHINESE}, "check")

    assert code == 2
    assert "authorities.le.terms_of_service_agreed: is not set" in errors


@pytest.mark.parametrize(("gateway", "why"), [(CHINESE, "it is in region cn"), (OWN, "custom")])
@pytest.mark.parametrize("names", [(), ("vpn",)])
def test_gateway_that_is_never_enrolled_needs_no_record(
    run: Run, gateway: dict[str, str], why: str, names: tuple[str, ...]
) -> None:
    code, _, errors = run({"vpn": gateway | BY_RECORD}, "dns-record", *names)

    assert code == 2
    assert "gateway vpn is never enrolled, so it needs no record: " in errors
    assert why in errors
    assert "challenge to" not in errors


def test_gateway_with_another_challenge_needs_no_record(run: Run) -> None:
    other = USUAL | {"challenge": "http-01"}

    assert (
        "vpn does not use the challenge dns-persist-01"
        in run({"vpn": other}, "dns-record", "vpn")[2]
    )
    assert "no gateway uses the challenge dns-persist-01" in run({"vpn": other}, "dns-record")[2]


def test_missing_program_fails_with_its_line(run: Run) -> None:
    reload = {"install": {"reload": ["/no/such/program"]}}
    code, output, errors = run({"vpn": {**OWN, **reload}}, "check")

    assert (code, output) == (2, "")
    assert ".yaml:" in errors
    assert "gateways.vpn.install.reload[0]: there is no program /no/such/program" in errors


@pytest.mark.parametrize("process", ["nginx (pid 7)", None])
def test_unprivileged_port_fails_if_a_program_forwards_to_it(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    process: str | None,
) -> None:
    monkeypatch.setattr(listening, "listening_process", lambda _: process)
    configuration = tmp_path / "config.yaml"
    written = {
        "state_directory": str(tmp_path / "state"),
        "authorities": {"le": {"directory_url": NOWHERE, "terms_of_service_agreed": True}},
        "challenges": {"http-01": {"listen": ["127.0.0.1:60089"]}},
        "gateways": {"vpn": USUAL},
    }
    configuration.write_text(yaml.dump(written), "utf-8")
    monkeypatch.setattr(sys, "argv", ["gatecert", "-c", str(configuration), "check"])
    with pytest.raises(SystemExit) as ended:
        cli.run()
    told = capsys.readouterr()
    if process is None:
        assert not ended.value.code
        assert "note: challenges.http-01.listen 127.0.0.1:60089" in told.out
    else:
        assert ended.value.code == 2
        assert "127.0.0.1:60089, and nginx (pid 7) listens on port 80" in told.err
        assert "such as 127.0.0.1:888" in told.err


def test_trusted_roots_that_are_no_cas_fail(run: Run, tmp_path: Path) -> None:
    names = (Identifier(IdentifierType.DNS, "g.example.com"),)
    leaf = bootstrap(names, now=datetime.now(UTC), key_policy=KeyPolicy())
    roots = tmp_path / "roots.pem"
    roots.write_bytes(leaf.certificate)
    code, _, errors = run({"g": OWN}, "check", trusted_roots=str(roots))
    assert code == 2
    assert "authorities.le.trusted_roots: no chain can end in" in errors


def test_explain_shows_the_settings_of_one_gateway(run: Run) -> None:
    code, output, errors = run({"vpn": OWN, "other": CHINESE}, "check", "--explain", "vpn")

    assert (code, errors) == (0, "")
    first, *settings = output.splitlines()
    assert first == "vpn"
    assert any(line.split() == ["key.type:", "ecdsa-p256", *BUILT_IN] for line in settings)
    hostname = next(line for line in settings if "vpn.example.com" in line)
    assert hostname.startswith("  hostname: vpn.example.com  ")
    assert hostname.rpartition(":")[0].endswith(".yaml")


def test_check_says_who_publishes_the_address(run: Run, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.touch(0o600)
    secret.write_text("secret", "ascii")
    ddns = {"provider": "dyndns2", "password_file": str(secret), "source": {"resolver": "google"}}
    kept = {**OWN, "ddns": {**ddns, "service": "he"}}
    other = {
        "hostname": "www.example.com",
        "mode": "custom",
        "ddns": {**ddns, "url": "https://ddns.example.net/update?"},
    }
    code, output, errors = run({"vpn": kept, "other": other}, "check")
    assert (code, errors) == (0, "")
    assert "imported by you; its address is published by he (ddns)" in output
    assert "its address is published by ddns.example.net (ddns)" in output


def test_explain_of_an_unknown_gateway_is_wrong_usage(run: Run) -> None:
    code, output, errors = run({"vpn": OWN}, "check", "--explain", "v*")
    assert (code, output) == (2, "")
    assert "no gateway is called 'v*'" in errors


def test_check_notes_a_pattern_that_matches_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(yaml.dump({"include": ["conf.d/*.yaml"], "gateways": {"vpn": OWN}}), "utf-8")
    monkeypatch.setattr(sys, "argv", ["gatecert", "-c", str(path), "check"])
    with pytest.raises(SystemExit):
        cli.run()
    note = f"  note: {path}:6: include[0]: no file matches conf.d/*.yaml"
    assert note in capsys.readouterr().out.splitlines()


def test_the_place_in_a_fleet_is_shown_and_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    files = FleetFiles(tmp_path / "etc")
    ends = datetime.now(UTC).replace(microsecond=0) + timedelta(days=90)
    files.log_in_by(files.pki.issue("gw-a", files.pki.root(), end=ends))
    files.section["issue"] = {"domains": ["ddns.example", "vpn.example"]}
    files.others = {
        "authorities": {"ca": {"directory_url": "letsencrypt"}},
        "challenges": {"dns-01": {"provider": "exec", "command": ["/bin/true"]}},
    }
    command = ["gatecert", "-c", str(files.configuration()), "check"]
    told = []
    for arguments in (command, [*command, "--explain", "fleet"]):
        monkeypatch.setattr(sys, "argv", arguments)
        with pytest.raises(SystemExit) as ended:
            cli.run()
        assert not ended.value.code
        told.append(" ".join(capsys.readouterr().out.split()))
    assert (
        "fleet: host gw-a of cluster hq, ring 1; database gatecert on db1.example.com:5432,"
        f" db2.example.com:6432 as gw-a, until {ends:%Y-%m-%d}; orders for"
        " gateways in the field below ddns.example and vpn.example"
    ) in told[0]
    assert told[1].startswith("fleet database.hosts:")
    assert "sealing_keys: (secret)" in told[1]


@pytest.mark.parametrize("shared", [False, True])
def test_hosts_of_a_fleet_answer_for_each_other_and_share_a_certificate(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    shared: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    files = FleetFiles(tmp_path / "etc")
    members = {f"node{each}": {"common_name": f"node{each}.example.com"} for each in range(6)}
    files.others = {
        "authorities": {"letsencrypt": {"terms_of_service_agreed": True}},
        "gateways": {"vpn": USUAL | {"members": members}},
        **({} if shared else {"fleet": None}),
    }
    monkeypatch.setattr(sys, "argv", ["gatecert", "-c", str(files.configuration()), "check"])
    with pytest.raises(SystemExit):
        cli.run()
    told = " ".join(capsys.readouterr().out.split())
    assert ("6 hosts share vpn.example.com" in told) is not shared
    assert ("at a virtual IP" in told) is not shared


def test_without_a_fleet_its_settings_are_named(run: Run) -> None:
    code, output, error = run({"vpn": OWN}, "check", "--explain", "fleet")
    assert (code, error) == (0, "")
    assert output == (
        "fleet: none, so this host shares nothing; settings: database, cluster, host, ring,"
        " sealing_keys, issue, reserve (docs/configuration.md#fleet)\n"
    )
    code, output, _ = run({"fleet": OWN}, "check", "--explain", "fleet")
    assert code == 0
    assert output.startswith("fleet\n")  # the gateway of this name
